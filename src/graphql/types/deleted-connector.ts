import { resolveCursorConnection } from '@pothos/plugin-relay';
import type { OutboxItem } from '../../db/generated/prisma/client.ts';
import {
  listRevocations,
  type RevocationProgress as Progress,
  readRevocationProgress,
} from '../../connections/revocations.ts';
import { globalId } from '../../lib/global-id.ts';
import { batched } from '../batch.ts';
import { builder } from '../builder.ts';
import type { GraphqlContext } from '../context.ts';
import { cursorOf, idOfCursor, pageOf } from '../paging.ts';
import { memberRowsVisibleTo } from '../visibility.ts';
import { ConnectorKind } from './enums.ts';
import { Provider, providerOf } from './provider.ts';
import { Workspace } from './workspace.ts';

const RevocationReceipt = builder.enumType('RevocationReceipt', {
  description: 'How the revocation of a grant ended.',
  values: {
    REVOKED: { description: 'The provider has taken the grant back.' },
    UNSUPPORTED: {
      description:
        'The provider has no way to take a grant back: it ends there by itself, if at all. To end it, rotate the client secret at the provider, or remove the OAuth app there.',
    },
    GAVE_UP: { description: 'It failed too often. Take the grant back in the account settings of the provider.' },
    SKIPPED_SHARED_GRANT: {
      description:
        'Another live connection stands on the same grant, and would end with it. When the last of them ends, it is tried after all.',
    },
  } as const,
});

const Revocation = builder.prismaNode('OutboxItem', {
  variant: 'Revocation',
  id: { field: 'id' },
  nullable: true,
  findUnique: (id, { caller }) => ({ id, kind: 'REVOKE_GRANT', ...memberRowsVisibleTo(caller) }),
  description: 'The revocation of one grant at its provider: tried until it is done or given up. It carries no token.',
  fields: (t) => ({
    connectionId: t.id({
      nullable: true,
      description: 'The connection whose grant it is.',
      select: { connectionId: true },
      resolve: ({ connectionId }) => connectionId && globalId('AppUserConnection', connectionId),
    }),
    receipt: t.expose('receipt', {
      type: RevocationReceipt,
      nullable: true,
      description: 'How it ended, or that it is skipped for the time being; null while it is under way.',
    }),
    attempts: t.exposeInt('attempts', { description: 'How often it has failed so far.' }),
    nextAttemptAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'Not tried before then; null once it has ended, and while it waits for another connection to end.',
      select: { dueAt: true, doneAt: true },
      resolve: ({ dueAt, doneAt }) => (doneAt ? null : dueAt),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was queued.' }),
    doneAt: t.expose('doneAt', { type: 'DateTime', nullable: true, description: 'When it ended.' }),
  }),
});

export const RevocationProgress = builder.objectRef<Progress>('RevocationProgress').implement({
  description: 'How far the revocation of many grants has come. `pending` and the receipts add up to `total`.',
  fields: (t) => ({
    total: t.exposeInt('total', { description: 'How many grants there are.' }),
    pending: t.exposeInt('pending', { description: 'How many are still to be revoked. 0: it is finished.' }),
    revoked: t.int({ description: 'How many ended REVOKED.', resolve: ({ receipts }) => receipts.REVOKED }),
    unsupported: t.int({ description: 'How many ended UNSUPPORTED.', resolve: ({ receipts }) => receipts.UNSUPPORTED }),
    gaveUp: t.int({ description: 'How many ended GAVE_UP.', resolve: ({ receipts }) => receipts.GAVE_UP }),
    skippedSharedGrant: t.int({
      description: 'How many stand at SKIPPED_SHARED_GRANT.',
      resolve: ({ receipts }) => receipts.SKIPPED_SHARED_GRANT,
    }),
  }),
});

const DeletedConnector = builder.prismaNode('Connector', {
  variant: 'DeletedConnector',
  id: { field: 'id' },
  nullable: true,
  findUnique: (id, { caller }) => ({ id, deletedAt: { not: null }, ...memberRowsVisibleTo(caller) }),
  description: 'A connector that was deleted: nobody has access through it, and what was granted is being revoked.',
  fields: (t) => ({
    name: t.exposeString('name', {}),
    provider: t.field({
      type: Provider,
      description: 'The provider that accounts were connected at.',
      select: { providerKey: true },
      resolve: ({ providerKey }) => providerOf(providerKey),
    }),
    kind: t.expose('kind', { type: ConnectorKind }),
    deletedAt: t.field({
      type: 'DateTime',
      description: 'When it was deleted.',
      select: { deletedAt: true, updatedAt: true },
      resolve: ({ deletedAt, updatedAt }) => deletedAt ?? updatedAt,
    }),
    progress: t.loadable({
      type: RevocationProgress,
      description: 'How far the revocation of its grants at the provider has come.',
      load: (ids: string[], { features }) => readRevocationProgress(features.db, ids),
      resolve: ({ id }) => id,
    }),
    revocations: t.connection({
      type: Revocation,
      description: 'Each grant with its receipt, oldest first.',
      // the same page of several connectors' lists is read in one go
      resolve: ({ id }, args, context) =>
        resolveCursorConnection<Promise<OutboxItem[]>>(
          { args, toCursor: (item: OutboxItem) => cursorOf(item.id) },
          ({ before, after, limit, inverted }) => {
            const page = {
              after: after === undefined ? null : idOfCursor(after),
              before: before === undefined ? null : idOfCursor(before),
              limit,
              descending: inverted,
            };
            return batched<string, OutboxItem[]>(context, `revocations ${JSON.stringify(page)}`, (ids) =>
              listRevocations(context.features.db, ids, page),
            ).load(id);
          },
        ),
    }),
  }),
});

/** The deleted connectors of each workspace, the latest first. */
async function findDeleted({ features }: GraphqlContext, workspaceIds: readonly string[]) {
  const rows = await features.db.connector.findMany({
    where: { workspaceId: { in: [...workspaceIds] }, deletedAt: { not: null } },
    orderBy: [{ deletedAt: 'desc' }, { id: 'asc' }],
  });
  return workspaceIds.map((id) => rows.filter(({ workspaceId }) => workspaceId === id));
}

builder.prismaObjectField(Workspace, 'deletedConnectors', (t) =>
  t.connection({
    type: DeletedConnector,
    description: 'Connectors that were deleted, the latest first, with what became of the grants.',
    // not as a relation: that is `connectors` already, and asked for in two ways it would be read workspace by workspace
    resolve: async ({ id }, args, context) => {
      const all = await batched(context, 'deletedConnectors', (ids: readonly string[]) =>
        findDeleted(context, ids),
      ).load(id);
      return pageOf(all, args);
    },
  }),
);
