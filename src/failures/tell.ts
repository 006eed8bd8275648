import type { KnownFailure, Remedy } from '../lib/domain-error.ts';
import {
  type Failure,
  type FailureFacts,
  type FailureName,
  type FailureText,
  type FailureValue,
  failures,
  valueLabels,
} from './failures.ts';
import { germanFailures, germanLabels } from './german.ts';

/** The languages that failures are told in. The first is that of the API. */
export const languages = ['en', 'de'] as const;
export type Language = (typeof languages)[number];

const texts: Record<Language, { failures: Record<FailureName, FailureText>; labels: Record<FailureValue, string> }> = {
  en: { failures, labels: valueLabels },
  de: { failures: germanFailures, labels: germanLabels },
};

/** A failure in words, with the exact values that are known. */
export interface ToldFailure {
  title: string;
  message: string;
  remedy: Remedy;
}

function tell(name: FailureName, facts: FailureFacts, language: Language): ToldFailure {
  const { actor, isOfClient, values }: Failure = failures[name];
  const isOperators = isOfClient === true && facts.clientIsOperators === true;
  const { title, sentence, steps } = texts[language].failures[name];
  const fill = (text: string) =>
    text
      .replace('{retryAfterSeconds}', String(facts.retryAfterSeconds ?? 30))
      .replace('{enterClient}', isOperators ? 'setOperatorClient' : 'editConnector');
  return {
    title,
    message: fill(sentence),
    remedy: {
      actor: isOperators ? 'OPERATOR' : actor,
      steps: steps.map(fill),
      values: values.flatMap((value) =>
        [facts[value] ?? []].flat().map((text) => ({ label: texts[language].labels[value], value: text })),
      ),
      docsUrl: facts.docsUrl ?? null,
    },
  };
}

/** What a DomainError of this failure is made of: `super(...failure('CONNECTOR_DISABLED'))`. */
export function failure(
  name: FailureName,
  facts: FailureFacts = {},
): [message: string, options: { remedy: Remedy; failure: KnownFailure }] {
  const { message, remedy } = tell(name, facts, 'en');
  return [message, { remedy, failure: { name, facts } }];
}

/** Tells an error's failure again in another language. Null for one that is in no table. */
export function tellIn(language: Language, known: KnownFailure | null): ToldFailure | null {
  if (known === null || !(known.name in failures)) return null;
  return tell(known.name as FailureName, known.facts as FailureFacts, language);
}
