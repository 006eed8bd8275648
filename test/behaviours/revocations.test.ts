import { expect, test } from 'vitest';
import { field, startService } from '../support/harness.ts';
import { connectUser, deleteConnector, eventually, readAs, type Scene, setScene } from '../support/scene.ts';

interface Deleted {
  id: string;
  name: string;
  progress: Record<string, number>;
  revocations: {
    edges: { node: { connectionId: string; receipt: string | null; attempts: number; doneAt: string } }[];
  };
}

async function deletedConnectors({ service, workspace }: Scene, headers = workspace.owner): Promise<Deleted[]> {
  const answer = await service.graphql(
    `query ($id: ID!) { workspace(id: $id) { deletedConnectors { edges { node { id name deletedAt kind provider { key }
      progress { total pending revoked unsupported gaveUp skippedSharedGrant }
      revocations(first: 100) { edges { node { connectionId receipt attempts nextAttemptAt doneAt } } } } } } } }`,
    { id: workspace.id },
    headers,
  );
  const found = field<{ deletedConnectors: { edges: { node: Deleted }[] } }>(answer, 'workspace');
  return found.deletedConnectors.edges.map(({ node }) => node);
}

test('16. a deleted connector shows how far the revocation of its grants has come, with one receipt each', async () => {
  const scene = await setScene(await startService());
  const users = ['one', 'two', 'three'];
  for (const user of users) await connectUser(scene, user);
  const connections = await Promise.all(users.map(async (user) => (await readAs(scene, user)).connection.id));
  expect(await deletedConnectors(scene)).toEqual([]);

  let isDown = true;
  scene.provider.around(async (ctx, next) => {
    if (ctx.path !== '/token/revocation' || !isDown) return next();
    ctx.status = 503;
  });
  await deleteConnector(scene);
  const [pending] = await deletedConnectors(scene);
  expect(pending).toMatchObject({ name: 'Calendar', progress: { total: 3, pending: 3, revoked: 0 } });
  await expect
    .poll(
      async () => (await deletedConnectors(scene))[0]?.revocations.edges.map(({ node }) => node.attempts),
      eventually,
    )
    .toEqual([1, 1, 1]);

  isDown = false;
  scene.service.clock.advance(60_000);
  await connectUser(await setScene(scene.service), 'somebody'); // wakes the worker
  await expect
    .poll(async () => (await deletedConnectors(scene))[0]?.progress, eventually)
    .toEqual({ total: 3, pending: 0, revoked: 3, unsupported: 0, gaveUp: 0, skippedSharedGrant: 0 });
  const [done] = await deletedConnectors(scene);
  const receipts = done!.revocations.edges.map(({ node }) => node);
  expect(receipts.map(({ connectionId }) => connectionId).sort()).toEqual(connections.sort());
  expect(receipts.map(({ receipt }) => receipt)).toEqual(['REVOKED', 'REVOKED', 'REVOKED']);
  expect(scene.provider.grants()).toEqual([]);
});

test('6. what became of a deleted connector is for members of its workspace', async () => {
  const scene = await setScene(await startService());
  const other = await setScene(scene.service);
  await connectUser(scene, 'one');
  await deleteConnector(scene);
  await expect.poll(async () => (await deletedConnectors(scene))[0]?.progress['pending'], eventually).toBe(0);
  const [{ id } = { id: '' }] = await deletedConnectors(scene);
  const node = async (headers: Record<string, string>) =>
    (await scene.service.graphql('query ($id: ID!) { node(id: $id) { __typename } }', { id }, headers)).data;
  expect(await node(scene.workspace.owner)).toEqual({ node: { __typename: 'DeletedConnector' } });
  expect(await node(other.workspace.owner)).toEqual({ node: null });
  expect(await node(await scene.app.user('one'))).toEqual({ node: null });
  const foreign = await scene.service.graphql(
    'query ($id: ID!) { workspace(id: $id) { deletedConnectors { edges { node { id } } } } }',
    { id: scene.workspace.id },
    other.workspace.owner,
  );
  expect(foreign.data).toEqual({ workspace: null });
});
