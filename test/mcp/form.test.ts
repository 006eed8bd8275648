import { expect, test, vi } from 'vitest';
import { createWorkspace, field, operatorKey } from '../support/harness.ts';
import {
  type ConnectorRequestAnswer,
  openChat,
  openOwnersChat,
  resultOf,
  sendForm,
  startListening,
} from '../support/mcp.ts';
import { eventually } from '../support/scene.ts';

vi.setConfig({ testTimeout: 120_000 });

type Chat = Awaited<ReturnType<typeof openChat>>;

/** Asks for a connector by chat; the link is for a person. */
async function ask(chat: Chat, args: Record<string, unknown> = {}) {
  const wanted = { providerKey: 'slack', scopes: ['channels:read'], kind: 'APP_USER', another: true, ...args };
  const { request } = resultOf<ConnectorRequestAnswer>(await chat.call('add_connector', wanted));
  const { requestId, link } = request ?? { requestId: '', link: '' };
  return { requestId, link, token: new URL(link).searchParams.get('token') ?? '' };
}

test('51. the form is in the language that its reader’s browser asks for, and so is all that goes wrong there', async () => {
  const { service, url, workspace, chat } = await openOwnersChat();
  const headers = { 'accept-language': 'de-CH,de;q=0.9,en;q=0.5' };
  const filled = { name: 'Team', kind: 'APP_USER', clientId: 'client', clientSecret: 'secret' };
  const show = async (link: string, more: Record<string, string> = headers) => {
    const response = await fetch(link, { headers: more });
    return { response, html: await response.text() };
  };
  const send = async (token: string, decision: string, fields: Record<string, string> = {}) =>
    (await sendForm(url, { token, decision, ...filled, ...fields }, headers)).text();

  const first = await ask(chat);
  const { response, html } = await show(first.link);
  expect([response.headers.get('content-language'), response.headers.get('vary')]).toEqual(['de', 'Accept-Language']);
  expect(html).toContain('<html lang="de">');
  for (const told of ['Einen Connector für Slack anlegen?', 'Wessen Konto wird verbunden?', 'Zustimmen und anlegen']) {
    expect(html).toContain(told);
  }
  // what the catalogue says is marked as English
  expect(html).toContain('<ol role="list" lang="en">');
  expect((await show(first.link, { 'accept-language': 'fr' })).html).toContain('<html lang="en">');

  const refused = await send(first.token, 'approve', { name: '', kind: 'BOTH', clientId: 'ä', clientSecret: 'ö' });
  expect(refused).toContain('Es wurde nichts gespeichert');
  expect(await send(first.token, 'later')).toContain('Derselbe Link gilt bis einen Tag nach seiner Entstehung.');
  expect(await send(first.token, 'approve')).toContain('Der Connector ist eingerichtet');
  expect(await send(first.token, 'approve')).toContain('Ihr wurde zugestimmt, und der Link gilt kein zweites Mal.');
  const second = await ask(chat);
  expect(await send(second.token, 'reject')).toContain('Der Assistent erfährt es, wenn er fragt.');
  const over = await send(second.token, 'approve');
  expect(over).toContain('Sie wurde abgelehnt, und der Link gilt nicht mehr.');
  expect(over).toContain('Gehen Sie zurück zum Chat.');

  // a custom provider is in no catalogue; a change keeps the client where nothing is entered
  const custom = { providerKey: 'custom', custom: { issuer: 'https://id.example.com' }, scopes: [] };
  const third = await show((await ask(chat, custom)).link);
  expect(third.html).toContain('Einen Connector für einen eigenen Anbieter anlegen?');
  expect(third.html).toContain('<code>https://id.example.com</code>');
  const { connectors } = resultOf<{ connectors: { id: string }[] }>(await chat.call('list_connectors'));
  const change = { connectorId: connectors[0]?.id, newClient: true };
  const { request } = resultOf<ConnectorRequestAnswer>(await chat.call('edit_connector', change));
  expect((await show(request?.link ?? '')).html).toContain('Bleibt das Feld leer, gilt die jetzige weiter.');

  // what the workspace may no more: the plan, the provider, whoever asked
  const operator = { authorization: `Bearer ${operatorKey}` };
  const setPlan = `mutation ($id: ID!, $plan: Plan!) { setWorkspacePlan(input: { workspaceId: $id, plan: $plan }) { __typename } }`;
  const fourth = await ask(chat);
  await service.graphql(setPlan, { id: workspace.id, plan: 'FREE' }, operator);
  expect((await show(fourth.link)).html).toContain('Dafür braucht der Workspace den Plan BUILDER oder einen höheren.');
  await service.graphql(setPlan, { id: workspace.id, plan: 'ENTERPRISE' }, operator);
  const off = `mutation ($id: ID!) { setProviderAvailability(input: { workspaceId: $id, providerKey: "slack", kind: APP_USER, available: false, confirm: true }) { __typename } }`;
  await service.graphql(off, { id: workspace.id }, workspace.owner);
  expect((await show(fourth.link)).html).toContain('Dieser Anbieter ist in diesem Workspace ausgeschaltet.');
});

test('51. requests that nobody asks for any more are forgotten: a week after their link has ended', async () => {
  const { service, url } = await startListening({}, { sweepMs: 50 });
  const workspace = await createWorkspace(service);
  const chat = await openChat(url, workspace.ownerKey);
  const hour = 3_600_000;
  const day = 24 * hour;
  const statusOf = async ({ requestId }: { requestId: string }) => {
    const { result, error } = await chat.call('connector_request_status', { requestId });
    return result?.status ?? error?.code;
  };
  const left = await ask(chat);
  const rejected = await ask(chat);
  await sendForm(url, { token: rejected.token, decision: 'reject' });
  service.clock.advance(day);
  const later = await ask(chat);
  service.clock.advance(6 * day);
  // an hour before the week is over they are still there
  expect([await statusOf(left), await statusOf(rejected), await statusOf(later)]).toEqual([
    'EXPIRED',
    'REJECTED',
    'EXPIRED',
  ]);
  service.clock.advance(2 * hour);
  await expect.poll(() => statusOf(left), eventually).toBe('NOT_FOUND');
  await expect.poll(() => statusOf(rejected), eventually).toBe('NOT_FOUND');
  expect(await statusOf(later)).toBe('EXPIRED');
  // what became of it stays in the audit
  const audit = await service.graphql(
    `query ($id: ID!) { workspace(id: $id) { audit(first: 10, filter: { acts: [CONNECTOR_REQUESTED, CONNECTOR_REQUEST_REJECTED] }) { edges { node { act } } } } }`,
    { id: workspace.id },
    workspace.owner,
  );
  expect(field<{ audit: { edges: object[] } }>(audit, 'workspace').audit.edges).toHaveLength(4);
});
