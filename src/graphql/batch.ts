import { createContextCache } from '@pothos/core';
import DataLoader from 'dataloader';
import type { GraphqlContext } from './context.ts';

const loaders = createContextCache(() => new Map<string, DataLoader<unknown, unknown>>());

/**
 * Loads for many parents at once what each asks for by itself: an error in the place of a value is thrown for that parent alone.
 * `name` tells what is loaded, arguments and all; nothing is kept.
 */
export function batched<Key, Value>(
  context: GraphqlContext,
  name: string,
  load: (keys: readonly Key[]) => Promise<(Value | Error)[]>,
): DataLoader<Key, Value> {
  const own = loaders(context) as Map<string, DataLoader<unknown, unknown>>;
  const known = own.get(name) as DataLoader<Key, Value> | undefined;
  if (known) return known;
  const loader = new DataLoader<Key, Value>(load, { cache: false });
  own.set(name, loader as DataLoader<unknown, unknown>);
  return loader;
}

/**
 * Reads a list of many parents at once where a document asks for it in more than one way: the plan of the parents has room for one
 * of them, and plugin-prisma would read the rest parent by parent. `read` answers parents by id, each with the list as `query` says.
 */
export function listOfMany<Query extends object, Row>(
  name: string,
  read: (context: GraphqlContext, ids: string[], query: Query) => Promise<{ id: string; rows: Row[] }[]>,
) {
  // plugin-prisma's types take this for a query of the parent's model that answers lists of lists
  return (query: object, { id }: { id: string }, _args: object, context: GraphqlContext): Promise<never[]> =>
    batched<string, Row[]>(context, `${name} ${JSON.stringify(query)}`, async (ids) => {
      const parents = await read(context, [...new Set(ids)], query as Query);
      return ids.map((own) => parents.find((parent) => parent.id === own)?.rows ?? []);
    }).load(id) as Promise<never[]>;
}
