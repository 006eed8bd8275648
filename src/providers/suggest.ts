import { searchProviders } from './catalogue.ts';
import type { Provider } from './provider.ts';

/** A provider that may serve a need, with the permissions that seem to be wanted of it. */
export interface Suggestion {
  provider: Provider;
  /** What of the catalogue speaks for it. */
  because: string[];
  /** The permission to begin with: the one that the need speaks of most, else the first. */
  scopes: { scope: string; reason: string }[];
  otherScopes: { scope: string; reason: string }[];
}

/** Words that say nothing of what is needed. */
const fillers = new Set(
  'a an and any app apps are as at be by can do does each every for from get have i in into is it its my need needs of on or our people person should so that the their them they this through to up use user users using want wants we what when which who will with you your'.split(
    ' ',
  ),
);

/** The stems of a text's words: enough that "meetings" finds "meeting" and "reads" finds "read". */
function stemsOf(text: string): Set<string> {
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  return new Set(
    words.filter((word) => !fillers.has(word)).map((word) => word.replace(/(?:ings?|ed|es|s|e|y|ies)$/, '')),
  );
}

const shared = (wanted: Set<string>, text: string) => [...stemsOf(text)].filter((stem) => wanted.has(stem));

/**
 * The providers that fit a need in words best, at most `limit`, by how rare in the catalogue the words are that they share with it.
 * One permission each: who needs more is to say why.
 */
export function suggestProviders(need: string, limit = 3): Suggestion[] {
  const wanted = stemsOf(need);
  const entries = searchProviders(null).map((provider) => {
    const { key, name, description, exampleUses, scopes } = provider;
    const text = [key, name, description, ...exampleUses, ...scopes.map((scope) => scope.description)].join(' ');
    return { provider, named: new Set(shared(wanted, `${key} ${name}`)), stems: new Set(shared(wanted, text)) };
  });
  const weightOf = (stem: string) => {
    const holders = entries.filter(({ stems }) => stems.has(stem)).length;
    return Math.log(1 + entries.length / holders);
  };
  return entries
    .map((entry) => {
      const found = [...entry.stems].reduce((sum, stem) => sum + weightOf(stem) * (entry.named.has(stem) ? 3 : 1), 0);
      return { ...entry, score: found };
    })
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score || a.provider.name.localeCompare(b.provider.name))
    .slice(0, limit)
    .map(({ provider }) => ({ provider, because: becauseOf(provider, wanted), ...scopesFor(provider, wanted) }));
}

function becauseOf({ description, exampleUses }: Provider, wanted: Set<string>): string[] {
  return [description, ...exampleUses].filter((text) => shared(wanted, text).length > 0);
}

function scopesFor({ scopes }: Provider, wanted: Set<string>): Pick<Suggestion, 'scopes' | 'otherScopes'> {
  const ranked = scopes
    .map(({ scope, description }) => ({ scope, reason: description, hits: shared(wanted, description).length }))
    .sort((a, b) => b.hits - a.hits) // stable: the catalogue's order, the least first, among equals
    .map(({ scope, reason }) => ({ scope, reason }));
  return { scopes: ranked.slice(0, 1), otherScopes: ranked.slice(1) };
}
