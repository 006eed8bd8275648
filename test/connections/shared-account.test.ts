import { expect, test } from 'vitest';
import { addTestConnector, createTestApp, createWorkspace } from '../support/harness.ts';
import { deleteConnector, editConnector } from '../support/scene.ts';
import { connectShared, connectSharedAs, disconnectShared, setSharedStage } from '../support/shared-account.ts';

test('46. whose shared account stands is left alone until it is said otherwise; who has granted all is not asked again', async () => {
  const stage = await setSharedStage();
  const [anna, ben] = [await stage.page('anna'), await stage.page('ben')];
  const ask = (who: Record<string, string>, input: Record<string, unknown> = {}) => connectShared(stage, who, input);
  const begins = {
    __typename: 'ConnectSharedAccountPayload',
    alreadyAuthorized: false,
    redirectUrl: expect.any(String),
  };
  expect(await ask(anna)).toMatchObject({ ...begins, connection: { status: 'NOT_CONNECTED' } });
  await connectSharedAs(stage, 'anna');

  expect(await ask(ben)).toMatchObject({ code: 'ACCOUNT_OWNED', owner: 'anna' });
  expect(await ask(ben, { takeOver: true })).toMatchObject(begins);
  expect(await ask(anna)).toMatchObject({
    alreadyAuthorized: true,
    redirectUrl: null,
    connection: { status: 'CONNECTED' },
  });
  expect(await ask(anna, { switchAccount: true })).toMatchObject(begins);
  // ended at the provider, which has granted all: only consent helps
  await editConnector(stage, { clientSecret: 'rotated', clientId: 'another' });
  expect(await ask(anna)).toMatchObject({ ...begins, connection: { status: 'RECONNECT_REQUIRED' } });
});

test('47. what is granted in part is asked for again', async () => {
  const stage = await setSharedStage();
  stage.provider.around(async (ctx, next) => {
    await next();
    if (ctx.path === '/token') ctx.body = { ...(ctx.body as object), scope: 'openid' };
  });
  await connectSharedAs(stage, 'anna');
  const anna = await stage.page('anna');
  expect(await connectShared(stage, anna)).toMatchObject({ alreadyAuthorized: false, redirectUrl: expect.any(String) });
});

test('44. only members who may connect or disconnect the account that an app shares, at a connector for that', async () => {
  const stage = await setSharedStage();
  const { service, workspace, app, provider } = stage;
  const anna = await stage.page('anna');
  const own = await addTestConnector(service, workspace, provider);
  const message = 'Each user has an account of their own at this connector, and connects it with connectAppUser.';
  for (const act of [connectShared, disconnectShared]) {
    expect(await act({ ...stage, app: { ...app, id: 'App_none' } }, anna)).toMatchObject({ code: 'NOT_FOUND' });
    expect(await act({ ...stage, app: { ...app, id: 'App_none' } }, {})).toMatchObject({ code: 'UNAUTHENTICATED' });
    for (const headers of [await app.backend('one'), await app.user('one')])
      expect(await act(stage, headers)).toMatchObject({ code: expect.stringMatching(/^(FORBIDDEN|NOT_FOUND)$/) });
    expect(await act(stage, await stage.page('vera'))).toMatchObject({ code: 'FORBIDDEN' });
    expect(await act({ ...stage, connector: own }, anna)).toMatchObject({ code: 'VALIDATION', message });
    expect(await act({ ...stage, connector: { id: 'Connector_none' } }, anna)).toMatchObject({ code: 'NOT_FOUND' });
  }
  expect(await disconnectShared(stage, anna)).toMatchObject({ code: 'NOT_CONNECTED' });
  await connectSharedAs(stage, 'anna');
  const elsewhere = await createTestApp(service, await createWorkspace(service));
  expect(await disconnectShared({ ...stage, app: elsewhere }, anna)).toMatchObject({ code: 'NOT_FOUND' });
  await deleteConnector(stage);
  expect(await disconnectShared(stage, anna)).toMatchObject({ code: 'NOT_FOUND' });
});
