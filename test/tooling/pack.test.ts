import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { currentAppUserConnection } from '../../src/client/operations.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

const source = `
import { createClient, isConnectorError, type ConnectionStatusEvent } from 'app-user-connectors/client';
import { createClientFromRequest } from 'app-user-connectors/server';
import { ReconnectRequiredError } from 'app-user-connectors/errors';
import { ConnectButtonElement } from 'app-user-connectors/element';
import { type UsedConnection, useConnection } from 'app-user-connectors/react';

const { connectors } = createClient({ url: 'https://connectors.example.com', appId: 'App_1', getToken: () => null });

export async function names(): Promise<string[]> {
  return (await connectors.list()).map(({ name }) => name);
}
export async function follow(id: string, tell: (event: ConnectionStatusEvent) => void): Promise<void> {
  for await (const event of connectors.status(id)) tell(event);
}
export async function start(id: string): Promise<string> {
  const { account } = await connectors.connectAppUser(id, { mode: 'popup' });
  const { redirectUrl } = await connectors.connectAppUser(id, { returnTo: '/settings' });
  return account?.email ?? redirectUrl;
}
export async function handle(request: Request): Promise<Response> {
  const backend = createClientFromRequest(request, { url: 'https://connectors.example.com', appKey: 'apk_1' });
  try {
    const { accessToken } = await backend.connectors.getCurrentAppUserConnection('Connector_1', { minValiditySeconds: 60 });
    return Response.json({ length: accessToken.length });
  } catch (error) {
    if (!isConnectorError(error)) throw error;
    switch (error.code) {
      case 'RECONNECT_REQUIRED': {
        const missing: readonly string[] = error.missingScopes;
        return Response.json({ missing }, { status: 409 });
      }
      case 'PROVIDER_UNAVAILABLE':
        return Response.json({ seconds: error.retryAfterSeconds }, { status: 503 });
      default:
        return Response.json({ code: error.code, steps: error.remedy?.steps ?? [] }, { status: 401 });
    }
  }
}
export function label(client: Parameters<typeof useConnection>[0]): string {
  const { event, error, connect }: UsedConnection = useConnection(client, 'Connector_1');
  void connect({ mode: 'redirect' });
  return error?.message ?? event?.status ?? 'unknown';
}
export const mistakes = [
  // @ts-expect-error a token is for backend functions
  () => connectors.getCurrentAppUserConnection,
  // @ts-expect-error there is no such mode
  () => connectors.connectAppUser('Connector_1', { mode: 'frame' }),
];
export const classes = [ReconnectRequiredError.name, ConnectButtonElement.name];
`;

const use = `
import { handle, names, classes } from './app.js';
const refused = await names().catch((error) => error.code);
const response = await handle(new Request('https://app.example.com/'));
console.log(JSON.stringify({ refused, status: response.status, body: await response.json(), classes }));
`;

beforeAll(() => {
  // the library's part of `npm run build`; the rest says nothing about it, and takes long
  const { status, stderr } = spawnSync(process.execPath, ['--import', 'tsx', 'scripts/build.ts', 'library'], {
    cwd: root,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
}, 120_000);

describe.each([
  { what: 'the whole package', packed: '.', library: 'dist/client' },
  { what: 'the library alone', packed: './dist/client', library: '.' },
])('npm pack of $what, installed into an empty project', ({ packed: part, library }) => {
  const folder = mkdtempSync(join(tmpdir(), 'pack-'));
  const installed = join(folder, 'node_modules/app-user-connectors');

  function run(command: string, args: string[], cwd = folder): string {
    const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' });
    if (status !== 0) throw new Error(`${command} ${args.join(' ')}\n${stdout}${stderr}`);
    return stdout;
  }
  const tsc = (args: string[], cwd = folder) =>
    run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), ...args], cwd);

  beforeAll(() => {
    const packed = run(
      'npm',
      ['pack', part, '--ignore-scripts', '--silent', '--pack-destination', folder],
      root,
    ).trim();
    mkdirSync(installed, { recursive: true });
    run('tar', ['-xzf', join(folder, packed), '--strip-components=1', '-C', installed]);
    // the packages that it declares and the library imports, as npm would put them beside it
    mkdirSync(join(folder, 'node_modules/@types'));
    for (const name of ['graphql-ws', 'graphql', 'react', '@types/react', 'csstype']) {
      symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name));
    }
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'empty', private: true, type: 'module' }));
    writeFileSync(join(folder, 'app.ts'), source);
    writeFileSync(join(folder, 'use.js'), use);
  }, 120_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const strict = ['--strict', '--skipLibCheck', 'false', '--exactOptionalPropertyTypes', '--target', 'es2023'];
  const web = ['--lib', 'es2023,dom,dom.iterable', '--types', ''];

  test('it holds no source, test or secret of this repository, and declares what the library imports', () => {
    const files = readdirSync(installed, { recursive: true, encoding: 'utf8' });
    expect(files).toContain(join(library, 'client.d.ts'));
    const documents = readFileSync(join(installed, library, 'documents.json'), 'utf8');
    expect(Object.values(JSON.parse(documents) as object)).toContain(currentAppUserConnection);
    expect(files.filter((file) => /^(src|test|bench|examples|node_modules)\b|\.env/.test(file))).toEqual([]);
    const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as {
      private?: boolean;
      dependencies: Record<string, string>;
      peerDependenciesMeta: object;
    };
    expect(manifest.private).toBe(undefined);
    expect(Object.keys(manifest.dependencies)).toContain('graphql-ws');
    // whoever only wants the library gets nothing of what the service needs
    if (library === '.') expect(Object.keys(manifest.dependencies)).toEqual(['graphql-ws']);
    expect(manifest.peerDependenciesMeta).toEqual({ react: { optional: true } });
    const modules = readdirSync(join(installed, library), { encoding: 'utf8' }).filter((file) =>
      /\.(js|d\.ts)$/.test(file),
    );
    const imported = modules.flatMap((file) =>
      [...readFileSync(join(installed, library, file), 'utf8').matchAll(/ from '([^'.][^']*)'/g)].map(([, name]) => [
        file.split('.')[0],
        name,
      ]),
    );
    expect(Object.fromEntries(imported)).toEqual({ 'status-stream': 'graphql-ws/client', react: 'react' });
  });

  test('type-checks under NodeNext, strict, with the declarations themselves, and runs in Node', () => {
    tsc([...strict, ...web, '--module', 'nodenext', 'app.ts']);
    expect(JSON.parse(run(process.execPath, ['use.js']))).toEqual({
      refused: 'UNAUTHENTICATED',
      status: 401,
      body: { code: 'UNAUTHENTICATED', steps: [] },
      classes: ['ReconnectRequiredError', 'ConnectButtonElement'],
    });
  });

  test('type-checks under bundler resolution, and bundles for browsers', async () => {
    tsc([...strict, ...web, '--module', 'esnext', '--moduleResolution', 'bundler', '--noEmit', 'app.ts']);
    const { outputFiles, warnings } = await build({
      stdin: { contents: "import 'app-user-connectors/element';", resolveDir: folder },
      bundle: true,
      format: 'esm',
      platform: 'browser',
      write: false,
    });
    expect(warnings).toEqual([]);
    expect(outputFiles[0]?.text).toContain('customElements.define("connect-button"');
  });
});
