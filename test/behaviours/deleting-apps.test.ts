import { expect, test } from 'vitest';
import { createTestApp, field, startService } from '../support/harness.ts';
import { connectByCookie, readToken } from '../support/journey.ts';
import { setScene } from '../support/scene.ts';

test('28. deleting an app asks first, then ends its keys, its users’ tokens and their grants, and no other app’s', async () => {
  const { service, workspace, app, provider, connector } = await setScene(await startService());
  const other = await createTestApp(service, workspace, [{ kind: 'LIVE', origin: 'https://other.example.com' }]);
  provider.allowRedirectUris([`${other.origin}/api/external-auth/callback/${connector.id}`], connector.clientId);
  await connectByCookie(service, await app.browser('one'), connector.id, { account: 'blue' });
  await connectByCookie(service, await other.browser('one'), connector.id, { account: 'green' });
  const [user, backend] = [await app.user('one'), await app.backend('one')];
  const remove = async (confirm: boolean) =>
    field(
      await service.graphql(
        `mutation ($input: DeleteAppInput!) { deleteApp(input: $input) { __typename
          ... on DeleteAppPayload { deletedAppId } ... on ConfirmationRequiredError { affectedUsers affectedApps { id } } } }`,
        { input: { appId: app.id, confirm } },
        workspace.owner,
      ),
      'deleteApp',
    );

  expect(await remove(false)).toMatchObject({ affectedUsers: 1, affectedApps: [{ id: app.id }] });
  expect(field(await readToken(service, backend, connector.id), 'currentAppUserConnection').__typename).toBe(
    'CurrentAppUserConnection',
  );
  expect(await remove(true)).toEqual({ __typename: 'DeleteAppPayload', deletedAppId: app.id });
  expect(field(await readToken(service, backend, connector.id), 'currentAppUserConnection').__typename).toBe(
    'UnauthenticatedError',
  );
  const asked = await service.graphql('{ availableConnectors { id } }', {}, user);
  expect(asked.errors.map(({ extensions }) => extensions?.code)).toEqual(['UNAUTHENTICATED']);
  await expect.poll(() => provider.grants().map(({ account }) => account.id)).toEqual(['green']);
  const kept = await readToken(service, await other.backend('one'), connector.id);
  expect(field(kept, 'currentAppUserConnection').__typename).toBe('CurrentAppUserConnection');
});
