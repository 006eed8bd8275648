import { readRevokeAllProgress } from '../../connections/revocations.ts';
import { type RevokedConnections, revokeAllConnections } from '../../connectors/revoke-all.ts';
import { idOf } from '../../lib/global-id.ts';
import { can } from '../../workspaces/membership.ts';
import { builder, confirmable } from '../builder.ts';
import { Connector, Notice } from './connector.ts';
import { RevocationProgress } from './deleted-connector.ts';

builder.prismaObjectFields(Connector, (t) => ({
  grantsRevokedAt: t.field({
    type: 'DateTime',
    nullable: true,
    description:
      'When all its connections were last revoked with revokeAllConnections; null where they never were. For members.',
    select: { grantsRevokedAt: true, workspaceId: true },
    resolve: ({ grantsRevokedAt, workspaceId }, _args, { caller }) =>
      can(caller, 'workspace.view', workspaceId) ? grantsRevokedAt : null,
  }),
  revocationProgress: t.loadable({
    type: RevocationProgress,
    nullable: true,
    description:
      'How far the revocation of those grants at the provider has come, with what an earlier one has left to do; null where all were never revoked. For members.',
    loaderOptions: { cache: false },
    load: (connectors: { id: string; grantsRevokedAt: Date | null; workspaceId: string }[], { caller, features }) =>
      readRevokeAllProgress(
        features.db,
        connectors.map(({ id, grantsRevokedAt, workspaceId }) => ({
          id,
          grantsRevokedAt: can(caller, 'workspace.view', workspaceId) ? grantsRevokedAt : null,
        })),
      ),
    resolve: (connector) => connector,
  }),
}));

const RevokeAllConnectionsInput = builder.inputType('RevokeAllConnectionsInput', {
  description: 'Whose connections to revoke: of the whole workspace, or of one provider or one connector in it.',
  fields: (t) => ({
    workspaceId: t.id({ description: 'The workspace.' }),
    providerKey: t.string({
      required: false,
      description: 'Only the connectors of this provider: a key from `providers`, or "custom".',
    }),
    connectorId: t.id({ required: false, description: 'Only this connector.' }),
    confirm: t.boolean({
      defaultValue: false,
      description: 'Without it, the answer says who would have to reconnect.',
    }),
  }),
});

const RevokeAllConnectionsPayload = builder.objectRef<RevokedConnections>('RevokeAllConnectionsPayload').implement({
  description:
    'No token of these connections is given out any more, and everybody is asked to reconnect; the grants are being revoked.',
  fields: (t) => ({
    connectors: t.prismaField({
      type: [Connector],
      description:
        'The connectors concerned, oldest first. They stay; `revocationProgress` tells how far each has come.',
      resolve: (query, { connectorIds }, _args, { features }) =>
        features.db.connector.findMany({
          ...query,
          where: { id: { in: connectorIds } },
          orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
        }),
    }),
    revokedConnections: t.exposeInt('connections', {
      description: 'How many connections were revoked by this call. 0: there were none left.',
    }),
    notices: t.expose('notices', {
      type: [Notice],
      description: 'What is left to an admin: where the provider has no way to take a grant back.',
    }),
  }),
});

builder.mutationField('revokeAllConnections', (t) =>
  t.field({
    type: RevokeAllConnectionsPayload,
    errors: confirmable,
    description:
      'After a breach: revokes every connection of the workspace, of one provider or of one connector, once confirmed. Tokens are refused at once, everybody must reconnect, and each grant is revoked at its provider in the background. The connectors stay. OWNER and ADMIN, on every plan.',
    args: { input: t.arg({ type: RevokeAllConnectionsInput, description: 'Whose connections to revoke.' }) },
    resolve: (_root, { input }, { caller, features }) =>
      revokeAllConnections(features, caller, {
        workspaceId: idOf('Workspace', input.workspaceId) ?? '',
        providerKey: input.providerKey ?? null,
        connectorId: typeof input.connectorId === 'string' ? (idOf('Connector', input.connectorId) ?? '') : null,
        confirm: input.confirm,
      }),
  }),
);
