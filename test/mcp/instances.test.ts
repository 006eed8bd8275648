import { expect, test, vi } from 'vitest';
import { createWorkspace } from '../support/harness.ts';
import { servicesAreThere, startInstances } from '../support/instances.ts';
import { type ConnectorRequestAnswer, openChat, resultOf } from '../support/mcp.ts';

vi.setConfig({ testTimeout: 120_000 });

test.runIf(servicesAreThere)(
  '51. with several instances any of them answers any request, nothing is asked in the chat, and the form asks whose account it is',
  async () => {
    const instances = await startInstances(2);
    const [first, second] = instances;
    if (!first || !second) throw new Error('two instances');
    const { publicUrl } = first.config;
    const workspace = await createWorkspace(first);
    let sent = 0;
    const chat = await openChat(publicUrl, workspace.ownerKey, {
      answer: () => ({ action: 'cancel' }), // a client that could ask
      async send(request) {
        sent += 1;
        return (sent % 2 === 0 ? first : second).app.fetch(request);
      },
    });
    expect(chat.transport.sessionId).toBeUndefined();
    const wanted = { providerKey: 'slack', scopes: ['channels:read'] };
    for (const _ of instances) {
      expect(await chat.call('add_connector', wanted)).toMatchObject({
        error: { code: 'VALIDATION', fields: [{ path: 'kind' }], remedy: { actor: 'USER' } },
      });
    }
    const { request } = resultOf<ConnectorRequestAnswer>(
      await chat.call('add_connector', { ...wanted, kind: 'APP_USER' }),
    );
    const { requestId, link } = request ?? { requestId: '', link: '' };
    for (const { app } of instances) {
      const page = await (await app.fetch(new Request(link))).text();
      expect(page).toMatch(/value="APP_USER" required checked/);
      expect(page).toMatch(/value="SHARED" required>/);
    }
    // the person chooses otherwise than the assistant has said
    const send = (decision: string) =>
      second.app.fetch(
        new Request(`${publicUrl}/connector-request`, {
          method: 'POST',
          headers: { origin: publicUrl, 'content-type': 'application/x-www-form-urlencoded' },
          body: new URLSearchParams({
            token: new URL(link).searchParams.get('token') ?? '',
            decision,
            name: 'Team',
            kind: 'SHARED',
            clientId: 'client',
            clientSecret: 'secret',
          }),
        }),
      );
    expect((await send('approve')).status).toBe(200);
    for (const _ of instances) {
      const status = resultOf(await chat.call('connector_request_status', { requestId }));
      expect(status).toMatchObject({ status: 'APPROVED', connector: { kind: 'SHARED', isSetUp: true } });
    }
    expect(chat.asked).toEqual([]);
  },
);
