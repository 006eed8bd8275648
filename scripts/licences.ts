/** Lists the licences of what production installs, and fails where one is not among those that ask for no more than a notice. */
import { existsSync, readFileSync } from 'node:fs';
import { nameAt, productionPackages } from './production-packages.ts';

const free = new Set([
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'ISC',
  'MIT',
  'MIT-0',
  'Unlicense',
]);

function licenceOf(path: string, entry: { license?: string }): string {
  const file = `${path}/package.json`;
  if (!existsSync(file)) return entry.license ?? 'none named';
  const { license } = JSON.parse(readFileSync(file, 'utf8')) as { license?: string | { type?: string } };
  return (typeof license === 'string' ? license : license?.type) ?? entry.license ?? 'none named';
}

/** `A OR B` leaves the choice; `A AND B` asks for both. */
function isFree(licence: string): boolean {
  const text = licence.replace(/^\((.*)\)$/, '$1');
  if (text.includes(' OR ')) return text.split(' OR ').some(isFree);
  return text.split(' AND ').every((name) => free.has(name));
}

const counts = new Map<string, number>();
const refused: string[] = [];
for (const [path, entry] of productionPackages()) {
  const licence = licenceOf(path, entry);
  counts.set(licence, (counts.get(licence) ?? 0) + 1);
  if (!isFree(licence)) refused.push(`${nameAt(path)}: ${licence}`);
}
for (const [licence, count] of counts) console.log(`${licence}: ${count}`);
if (refused.length > 0) {
  console.error(`Not among the licences that are agreed on:\n${refused.join('\n')}`);
  process.exitCode = 1;
}
