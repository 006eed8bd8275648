import { createContextCache } from '@pothos/core';
import DataLoader from 'dataloader';
import type { GraphqlContext } from './context.ts';

const loaders = createContextCache(() => new Map<string, DataLoader<unknown, unknown>>());

/** Loads for many parents at once what each asks for by itself. `name` tells what is loaded, arguments and all; nothing is kept. */
export function batched<Key, Value>(
  context: GraphqlContext,
  name: string,
  load: (keys: readonly Key[]) => Promise<Value[]>,
): DataLoader<Key, Value> {
  const own = loaders(context) as Map<string, DataLoader<unknown, unknown>>;
  const known = own.get(name) as DataLoader<Key, Value> | undefined;
  if (known) return known;
  const loader = new DataLoader<Key, Value>(load, { cache: false });
  own.set(name, loader as DataLoader<unknown, unknown>);
  return loader;
}
