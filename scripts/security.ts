/** Fails where docs/security.md leaves a threat without a test, or names a test that is not there. */
import { existsSync, readFileSync } from 'node:fs';

const threats = 26;
const text = readFileSync('docs/security.md', 'utf8');
const faults: string[] = [];
const sections = text.split(/^## /m).slice(1);
for (let number = 1; number <= threats; number += 1) {
  const section = sections.find((part) => part.startsWith(`T${number}. `));
  const named = [...(section ?? '').matchAll(/^- `(test\/[^`]+)`: (.+)$/gm)];
  if (named.length === 0) faults.push(`T${number} names no test.`);
  for (const [, file = '', name = ''] of named) {
    const code = existsSync(file) ? readFileSync(file, 'utf8') : '';
    // as the first argument of a test, in whichever quotes
    const quoted = ["'", '"', '`'].some(
      (quote) => code.includes(`(${quote}${name}${quote}`) || code.includes(`  ${quote}${name}${quote},`),
    );
    if (!quoted) faults.push(`T${number}: ${file} has no test named "${name}".`);
  }
}
if (faults.length > 0) {
  console.error(`docs/security.md:\n${faults.join('\n')}`);
  process.exitCode = 1;
}
