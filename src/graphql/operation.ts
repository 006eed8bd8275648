import { typeBrandKey } from '@pothos/core';
import {
  type DocumentNode,
  getOperationAST,
  type GraphQLError,
  type GraphQLObjectType,
  type GraphQLSchema,
  isObjectType,
  Kind,
  type SelectionSetNode,
} from 'graphql';
import { DomainError } from '../lib/domain-error.ts';
import type { GraphqlContext } from './context.ts';

/** As many as a log line is to name: a document may ask for any number. */
const maxNamed = 8;

/** The root fields of a document's operation, each once: all that is told of it, since the rest is the caller's own text. */
export function rootFieldsOf(document: DocumentNode, operationName?: string | null): string | null {
  const operation = getOperationAST(document, operationName);
  if (!operation) return null;
  const names = new Set<string>();
  const visited = new Set<string>();
  const collect = ({ selections }: SelectionSetNode): void => {
    for (const selection of selections) {
      if (selection.kind === Kind.FIELD) names.add(selection.name.value);
      else if (selection.kind === Kind.INLINE_FRAGMENT) collect(selection.selectionSet);
      else if (!visited.has(selection.name.value)) {
        const name = selection.name.value;
        visited.add(name);
        for (const definition of document.definitions) {
          if (definition.kind === Kind.FRAGMENT_DEFINITION && definition.name.value === name)
            collect(definition.selectionSet);
        }
      }
    }
  };
  collect(operation.selectionSet);
  if (names.size > 1) names.delete('__typename');
  return [...names].slice(0, maxNamed).join(',');
}

function rootTypes(schema: GraphQLSchema): GraphQLObjectType[] {
  return [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()].filter(isObjectType);
}

/** Every name that an operation with one root field can go by. */
export function rootFieldNames(schema: GraphQLSchema): Set<string> {
  const fields = rootTypes(schema).flatMap((type) => Object.keys(type.getFields()));
  return new Set([...fields, '__typename', '__schema', '__type']);
}

/** Has each root field whose answer is an error of ours tell its code: in the answer's data it is one of many things. */
export function noteOutcomes(schema: GraphQLSchema): GraphQLSchema {
  for (const field of rootTypes(schema).flatMap((type) => Object.values(type.getFields()))) {
    const { resolve } = field;
    if (!resolve) continue;
    field.resolve = (source, args, context: GraphqlContext, info) => {
      const answer: unknown = resolve(source, args, context, info);
      const note = (value: unknown): unknown => {
        if (isErrorAsData(value)) context.exchange.outcome = value.code;
        return value;
      };
      return answer instanceof Promise ? answer.then(note) : note(answer);
    };
  }
  return schema;
}

/** The errors plugin hides an error's class behind a proxy, so that it is told by the brand. */
function isErrorAsData(value: unknown): value is DomainError {
  if (typeof value !== 'object' || value === null) return false;
  const brand = (value as { [typeBrandKey]?: unknown })[typeBrandKey];
  return typeof brand === 'function' && brand.prototype instanceof DomainError;
}

/** How an operation with such errors ended. */
export function outcomeOf(errors: readonly GraphQLError[], isUnavailable: (error: unknown) => boolean): string {
  const [error] = errors;
  if (!error) return 'OK';
  if (error.message.startsWith('Syntax Error')) return 'GRAPHQL_PARSE_FAILED';
  const { originalError, extensions } = error;
  if (originalError instanceof DomainError) return originalError.code;
  if (typeof extensions['code'] === 'string') return extensions['code'];
  if (!originalError) return 'BAD_USER_INPUT';
  return isUnavailable(originalError) ? 'SERVICE_UNAVAILABLE' : 'INTERNAL_SERVER_ERROR';
}
