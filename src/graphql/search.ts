import type { Prisma } from '../db/generated/prisma/client.ts';

/** No name is longer. */
const longestName = 100;

/** What a name must be to hold a text, in any case; undefined where there is nothing to look for. */
export function nameHolding(text: string | null | undefined): Prisma.StringFilter | undefined {
  const wanted = text?.trim() ?? '';
  if (wanted === '') return undefined;
  // no name holds these, and the database takes no statement with them
  if (wanted.length > longestName || /[\p{Cc}\p{Cs}]/u.test(wanted)) return { in: [] };
  // what stands for anything in a LIKE pattern stands for itself here
  return { contains: wanted.replaceAll(/[\\%_]/g, String.raw`\$&`), mode: 'insensitive' };
}

/** A part of a filter; nothing where it is not given, which prisma must not see as undefined or null. */
export function where<K extends string, V>(key: K, value: V | null | undefined): { [P in K]?: V } {
  return value === null || value === undefined ? {} : ({ [key]: value } as { [P in K]: V });
}
