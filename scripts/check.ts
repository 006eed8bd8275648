/** Everything that must hold besides the tests. Each step runs even when one before it failed, so that one run shows all faults. */
import { spawnSync } from 'node:child_process';

const steps: [name: string, command: string][] = [
  ['generated sources', 'npm run --silent generate'],
  ['format', 'biome format .'],
  ['lint and layers', 'npm run --silent lint'],
  ['types', 'tsc --noEmit'],
  ['types of the client library, on web APIs alone', 'tsc -p tsconfig.client.json --noEmit'],
  ['schema.graphql', 'tsx scripts/print-schema.ts --check'],
  ['docs/troubleshooting', 'tsx scripts/troubleshooting.ts --check'],
  ['docs/security', 'tsx scripts/security.ts'],
  ['migrations', 'tsx scripts/migrations.ts check'],
  ['licences of what production installs', 'tsx scripts/licences.ts'],
  ['dead code', 'knip'],
];

const failed: string[] = [];
for (const [name, command] of steps) {
  const { status, stdout, stderr } = spawnSync(command, { shell: true, encoding: 'utf8' });
  console.log(`${status === 0 ? '✓' : '✗'} ${name}`);
  if (status === 0) continue;
  console.log(`${stdout}${stderr}`.trimEnd());
  failed.push(name);
}
if (failed.length > 0) {
  console.error(`\nFailed: ${failed.join(', ')}.`);
  process.exitCode = 1;
}
