import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const refused: [file: string, imported: string][] = [
  ['lib/a.ts', '../crypto/seal.ts'],
  ['lib/a.ts', '@prisma/client'],
  ['observability/a.ts', '../connections/refresh.ts'],
  ['failures/a.ts', '../workspaces/errors.ts'],
  ['failures/a.ts', 'graphql'],
  ['events/a.ts', '../db/client.ts'],
  ['events/a.ts', '@prisma/client'],
  ['crypto/a.ts', '../db/client.ts'],
  ['crypto/a.ts', '../config.ts'],
  ['crypto/a.ts', 'pg'],
  ['oauth/a.ts', '../providers/catalogue.ts'],
  ['oauth/a.ts', '../connections/store.ts'],
  ['oauth/a.ts', 'graphql'],
  ['providers/a.ts', '../connectors/connector.ts'],
  ['providers/a.ts', '@prisma/client'],
  ['db/a.ts', '../workspaces/store.ts'],
  ['db/a.ts', '@pothos/core'],
  ['workspaces/a.ts', '../connectors/connector.ts'],
  ['workspaces/a.ts', '../graphql/context.ts'],
  ['workspaces/a.ts', 'graphql-yoga'],
  ['workspaces/a.ts', 'oauth4webapi'],
  ['connectors/a.ts', '../connections/connect.ts'],
  ['connectors/a.ts', '../http/server.ts'],
  ['connectors/a.ts', '@pothos/core'],
  ['connectors/a.ts', 'oauth4webapi'],
  ['connections/a.ts', '../background/worker.ts'],
  ['connections/a.ts', '../app.ts'],
  ['connections/a.ts', 'graphql'],
  ['connections/a.ts', 'oauth4webapi'],
  ['identity/a.ts', '../connections/token.ts'],
  ['identity/a.ts', '../graphql/context.ts'],
  ['identity/a.ts', 'graphql-ws'],
  ['background/a.ts', '../graphql/schema.ts'],
  ['background/a.ts', '../db/client.ts'],
  ['background/a.ts', '@prisma/client'],
  ['graphql/a.ts', '../http/server.ts'],
  ['graphql/a.ts', '../connections/store.ts'],
  ['graphql/a.ts', 'oauth4webapi'],
  ['graphql/types/a.ts', '../../http/server.ts'],
  ['graphql/types/a.ts', '../../connections/store.ts'],
  ['graphql/types/a.ts', '../../config.ts'],
  ['graphql/types/a.ts', '../../crypto/seal.ts'],
  ['mcp/a.ts', '../connectors/store.ts'],
  ['mcp/a.ts', '../http/server.ts'],
  ['mcp/a.ts', 'graphql-yoga'],
  ['connectors/a.ts', '../mcp/server.ts'],
  ['http/a.ts', '../connections/store.ts'],
  ['http/a.ts', '../app.ts'],
  ['http/a.ts', '../background/worker.ts'],
  ['http/a.ts', '@prisma/client'],
  ['client/a.ts', '../lib/clock.ts'],
  ['client/a.ts', '../connections/connection.ts'],
  ['client/a.ts', 'pino'],
  ['main.ts', './http/server.ts'],
  ['app.ts', './main.ts'],
  ['config.ts', './connections/connect.ts'],
];

const allowed: [file: string, imported: string][] = [
  ['lib/a.ts', './clock.ts'],
  ['events/a.ts', '../lib/logger.ts'],
  ['events/a.ts', 'ioredis'],
  ['lib/a.ts', 'pino'],
  ['observability/a.ts', 'prom-client'],
  ['crypto/a.ts', '../lib/secret.ts'],
  ['oauth/a.ts', 'oauth4webapi'],
  ['providers/a.ts', '../oauth/authorization.ts'],
  ['db/a.ts', '@prisma/adapter-pg'],
  ['workspaces/a.ts', './store.ts'],
  ['workspaces/a.ts', '../db/generated/prisma/client.ts'],
  ['connectors/a.ts', '../workspaces/apps.ts'],
  ['connections/a.ts', '../connectors/connector.ts'],
  ['connections/a.ts', '../oauth/tokens.ts'],
  ['identity/a.ts', '../workspaces/keys.ts'],
  ['background/a.ts', '../connections/disconnect.ts'],
  ['graphql/a.ts', '../identity/caller.ts'],
  ['graphql/types/a.ts', '../builder.ts'],
  ['graphql/types/a.ts', '../../connections/connect.ts'],
  ['mcp/a.ts', '../connectors/request.ts'],
  ['http/a.ts', '../mcp/server.ts'],
  ['http/a.ts', '../graphql/schema.ts'],
  ['http/a.ts', 'graphql-ws'],
  ['client/a.ts', './generated/graphql.ts'],
  ['main.ts', './app.ts'],
  ['app.ts', './background/worker.ts'],
  ['config.ts', './crypto/keyring.ts'],
];

const root = fileURLToPath(new URL('../..', import.meta.url));

interface LintConfig {
  options: object;
  overrides: {
    rules: { 'no-restricted-imports'?: [severity: string, settings: { patterns: { message: string }[] }] };
  }[];
}

interface LintReport {
  diagnostics: { code: string; help: string; filename: string }[];
}

const config = JSON.parse(readFileSync(join(root, '.oxlintrc.json'), 'utf8')) as LintConfig;

/** Writes each import in a file of its own, lints them all in one run by the project's own rules, and tells what was said of each. */
function sentencesAbout(cases: readonly [place: string, imported: string][]): string[][] {
  const folder = mkdtempSync(join(tmpdir(), 'layers-'));
  try {
    // Types are of no interest here, and the linter would look for a project to take them from.
    writeFileSync(join(folder, '.oxlintrc.json'), JSON.stringify({ ...config, options: {} }));
    const files = cases.map(([place, imported], index) => {
      const file = join('src', place.replace(/\ba\.ts$/, `case-${index}.ts`));
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), `import type { A } from '${imported}';\nexport type B = A;\n`);
      return file;
    });
    const { stdout } = spawnSync(
      process.execPath,
      [join(root, 'node_modules/oxlint/bin/oxlint'), '-c', '.oxlintrc.json', '--format', 'json', 'src'],
      { cwd: folder, encoding: 'utf8' },
    );
    const { diagnostics } = JSON.parse(stdout) as LintReport;
    const restricted = diagnostics.filter(({ code }) => code === 'eslint(no-restricted-imports)');
    return files.map((file) => restricted.filter(({ filename }) => join(filename) === file).map(({ help }) => help));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe('imports run one way', () => {
  const refusals = sentencesAbout(refused);

  test('against the layers, each is refused with one sentence', () => {
    const unrefused = refused.filter((_, index) => refusals[index]?.length !== 1);
    expect(unrefused).toEqual([]);
  });

  test('along the layers, none is refused', () => {
    const remarks = sentencesAbout(allowed);
    const misjudged = allowed.filter((_, index) => remarks[index]?.length !== 0);
    expect(misjudged).toEqual([]);
  });

  test('no layer rule is without an import that breaks it', () => {
    const written = config.overrides.flatMap(({ rules }) =>
      (rules['no-restricted-imports']?.[1].patterns ?? []).map(({ message }) => message),
    );
    expect([...new Set(refusals.flat())].sort()).toEqual([...new Set(written)].sort());
  });
});
