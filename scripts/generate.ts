/** Writes the sources that git ignores: the Prisma client, its Pothos types, and the types of GraphQL documents. Silent unless something fails. */
import { spawnSync } from 'node:child_process';

for (const command of ['prisma generate --no-hints', 'graphql-codegen']) {
  const { status, stdout, stderr } = spawnSync(command, { shell: true, encoding: 'utf8' });
  if (status === 0) continue;
  console.error(`${stdout}${stderr}`);
  console.error(`Failed: ${command}.`);
  process.exit(1);
}
