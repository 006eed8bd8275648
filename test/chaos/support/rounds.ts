import { beforeEach } from 'vitest';
import { servicesAreThere } from '../../support/instances.ts';

/** Skips the tests of a file where a service that they need is missing; the run has said which. */
export function useServices(): void {
  beforeEach((context) => context.skip(!servicesAreThere));
}

/** How often to do something: in full, or at most CHAOS_ROUNDS times; never less than `least`. */
export function rounds(full: number, least = 1): number {
  const asked = Number(process.env.CHAOS_ROUNDS ?? full);
  if (!Number.isInteger(asked) || asked < 1) throw new Error('CHAOS_ROUNDS is a whole number from 1.');
  return Math.min(full, Math.max(least, asked));
}

/** Tells what was counted, so that a run shows more than that it passed. */
export function report(line: string): void {
  process.stdout.write(`    ${line}\n`);
}

/** How often each value is among them, as text. */
export function tally(values: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].map(([value, count]) => `${count} ${value}`).join(', ');
}

/** Does the work of each item, so many at a time. */
export async function eachOf<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const next = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, next));
}

/** Fails with a sentence where something takes longer than it may. */
export async function within<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
