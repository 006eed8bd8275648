import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import { startService } from '../support/harness.ts';
import { connectUser, readAs, setScene } from '../support/scene.ts';
import { listen } from '../support/streams.ts';

/** The binary that the package `deno` brings for this platform: its own command would outlive being stopped. */
function denoBinary(): string {
  const install = createRequire(import.meta.url)('deno/install_api.cjs') as { runInstall: () => string };
  return install.runInstall();
}

/** Serves a handler in Deno, which may reach this machine's network and nothing else: no file, no variable, no command. */
async function serveInDeno(source: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'deno-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'main.ts'), source);
  const flags = ['--no-prompt', '--no-config', '--no-npm', '--no-remote', '--allow-net=127.0.0.1,localhost'];
  const child = spawn(denoBinary(), ['run', ...flags, join(folder, 'main.ts')], {
    env: { DENO_DIR: join(folder, 'cache'), DENO_NO_UPDATE_CHECK: '1', NO_COLOR: '1' },
  });
  const said: string[] = [];
  child.stderr.on('data', (data: Buffer) => said.push(data.toString()));
  onTestFinished(async () => {
    if (child.exitCode !== null) return;
    const end = once(child, 'exit');
    child.kill();
    await end;
  });
  for await (const line of createInterface(child.stdout)) return line;
  throw new Error(`Deno has ended: ${said.join('')}`);
}

test('31, 58. a handler in Deno gets the token of the user whose request it is, and every failure as a class', async () => {
  const scene = await setScene(await startService());
  const { app, connector, provider } = scene;
  const url = new URL((await listen(scene.service)).http).origin;
  await connectUser(scene, 'one', 'green');
  const handler = await serveInDeno(`
    import { createClientFromRequest, isConnectorError } from '${new URL('../../src/client/server.ts', import.meta.url).href}';

    async function handle(request: Request): Promise<Response> {
      const { connectors } = createClientFromRequest(request, { url: '${url}', appKey: '${app.key}' });
      try {
        const { accessTokenFingerprint } = await connectors.getCurrentAppUserConnection('${connector.id}');
        const events = await connectors.fetchAsCurrentAppUser('${connector.id}', '${provider.eventsUrl}');
        return Response.json({ accessTokenFingerprint, ...(await events.json()) });
      } catch (error) {
        if (!isConnectorError(error)) throw error;
        return Response.json({ name: error.constructor.name, code: error.code, actor: error.remedy?.actor ?? null });
      }
    }

    Deno.serve({ hostname: '127.0.0.1', port: 0, onListen: ({ port }) => console.log('http://127.0.0.1:' + port) }, handle);
  `);
  const ask = async (headers: Record<string, string>) => (await fetch(handler, { headers })).json();
  const as = async (user: string) => ({ authorization: `Bearer ${await app.identityToken(user)}` });

  const { accessTokenFingerprint } = await readAs(scene, 'one');
  expect(await ask(await as('one'))).toMatchObject({ accessTokenFingerprint, account: 'green@example.com' });
  expect(await ask(await as('two'))).toEqual({ name: 'NotConnectedError', code: 'NOT_CONNECTED', actor: 'USER' });
  expect(await ask({})).toMatchObject({ name: 'UnauthenticatedError', code: 'UNAUTHENTICATED' });
});
