import { build } from 'esbuild';
import { expect, test, vi } from 'vitest';
import { entries } from '../support/app-page.ts';
import { auditOf, lineOf } from '../support/audit.ts';
import { useChromium } from '../support/browser.ts';
import { createTestApp, createWorkspace, startProvider } from '../support/harness.ts';
import { connectByCookie } from '../support/journey.ts';
import { openChat, resultOf, startListening, type ConnectorRequestAnswer } from '../support/mcp.ts';
import { watchTokens } from '../support/token-endpoint.ts';

vi.setConfig({ testTimeout: 120_000 });

const openBrowser = useChromium();

test('51. from nothing to a token by chat: the secret goes into the form alone, and a second chat finds the connector set up', async () => {
  const { service, url } = await startListening();
  const workspace = await createWorkspace(service);
  const app = await createTestApp(service, workspace);
  const provider = await startProvider();
  const passed = watchTokens(provider);
  let client = { clientId: '', clientSecret: '' };

  const first = await openChat(url, workspace.ownerKey, {
    name: `first-chat${'-'.repeat(89)}😀`, // it is cut within the last character
    async answer({ mode, url: link }) {
      if (mode !== 'url') return { action: 'accept', content: { answer: 'APP_USER' } };
      const page = await openBrowser({ javaScriptEnabled: false });
      await page.goto(link ?? '');
      const redirectUris = await page.locator('dd code').allInnerTexts();
      client = provider.registerClient({
        name: 'Client',
        redirectUris: redirectUris.filter((uri) => uri.includes('callback')),
      });
      expect(await page.getByRole('radio', { name: /Each user/ }).isChecked()).toBe(true);
      await page.getByLabel('Client id').fill(client.clientId);
      await page.getByLabel('Client secret').fill(client.clientSecret);
      await page.getByRole('button', { name: 'Approve and add' }).click();
      await page.locator('[data-status=APPROVED]').waitFor();
      return { action: 'accept' };
    },
  });
  expect(resultOf(await first.call('list_connectors'))).toEqual({ connectors: [], nextCursor: null });
  const added = resultOf<ConnectorRequestAnswer>(
    await first.call('add_connector', {
      providerKey: 'custom',
      name: 'Calendar',
      scopes: ['openid', 'email', 'calendar.read'],
      custom: { issuer: provider.issuer },
    }),
  );
  expect(added).toMatchObject({ status: 'WAITING_FOR_PERSON', request: { link: null } });
  expect(first.asked.map(({ mode }) => mode)).toEqual(['form', 'url']);
  const { requestId } = added.request ?? { requestId: '' };
  const asked = resultOf<{ status: string; connector: { id: string } }>(
    await first.call('connector_request_status', { requestId }),
  );
  expect(asked).toMatchObject({ status: 'APPROVED', connector: { isSetUp: true, kind: 'APP_USER', name: 'Calendar' } });
  const { id } = asked.connector;

  await connectByCookie(service, await app.browser('one'), id, { account: 'blue' });

  const second = await openChat(url, workspace.ownerKey, { answer: () => ({ action: 'cancel' }) });
  const { connectors } = resultOf<{ connectors: { id: string }[] }>(await second.call('list_connectors'));
  expect(connectors).toMatchObject([{ id, isSetUp: true }]);
  const { snippets } = resultOf<{ snippets: { where: string; code: string }[] }>(
    await second.call('code_for', { connectorId: id }),
  );
  const overview = resultOf(await second.call('connection_overview', { connectorId: id }));
  expect(overview).toMatchObject({ connections: [{ status: 'CONNECTED' }], flowProblems: [] });
  expect(second.asked).toEqual([]);

  // the backend function that the chat wrote reads the token of whoever asks
  const contents = (snippets.find(({ where }) => where === 'backend')?.code ?? '')
    .replace('https://api.example.com', provider.eventsUrl)
    .replace('process.env.APP_KEY!', `'${app.key}'`);
  const stdin = { contents, resolveDir: '.', loader: 'ts' } as const;
  const { outputFiles } = await build({ stdin, alias: entries, bundle: true, format: 'esm', write: false });
  const source = `data:text/javascript;base64,${Buffer.from(outputFiles[0]?.contents ?? []).toString('base64')}`;
  const { handle } = (await import(/* @vite-ignore */ source)) as { handle: (request: Request) => Promise<Response> };
  const headers = { authorization: `Bearer ${await app.identityToken('one')}` };
  const answered = await handle(new Request('https://app.example.com', { headers }));
  expect([answered.status, await answered.json()]).toMatchObject([200, { account: 'blue@example.com' }]);

  const transcript = (await first.transcript()) + (await second.transcript());
  expect(transcript).toContain(client.clientId);
  const secrets = [client.clientSecret, workspace.ownerKey, app.key, app.identity.secret, ...passed.accessTokens];
  expect(passed.accessTokens.length).toBeGreaterThan(0);
  for (const secret of [...secrets, ...passed.refreshTokens, ...passed.idTokens, ...passed.codes]) {
    expect(transcript).not.toContain(secret);
    expect(service.logs.join('\n')).not.toContain(secret);
  }

  const { rows } = await auditOf(service, workspace, { filter: { acts: ['CONNECTOR_REQUESTED', 'CONNECTOR_ADDED'] } });
  expect(rows.map(lineOf)).toEqual([
    expect.stringMatching(/^CONNECTOR_ADDED OK MEMBER key:\S+ assistant=first-chat-{89} /),
    expect.stringMatching(/^CONNECTOR_REQUESTED OK MEMBER key:\S+ assistant=first-chat-{89} /),
  ]);
});
