/**
 * Prints the GraphQL schema from the code.
 *
 *     tsx scripts/print-schema.ts            writes schema.graphql
 *     tsx scripts/print-schema.ts --check    exits 1 when schema.graphql is not what the code says
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { lexicographicSortSchema, printSchema } from 'graphql';
import { schema } from '../src/graphql/schema.ts';

const file = new URL('../schema.graphql', import.meta.url);
const printed = `${printSchema(lexicographicSortSchema(schema))}\n`;

if (!process.argv.includes('--check')) {
  writeFileSync(file, printed);
} else if (!existsSync(file) || readFileSync(file, 'utf8') !== printed) {
  console.error('schema.graphql is not what the code says: run `npm run schema` and review the difference.');
  process.exitCode = 1;
}
