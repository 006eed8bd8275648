import { redirectUrisOf } from '../../connectors/connector.ts';
import type { NamedValue, Notice as ConnectorNotice } from '../../connectors/connector.ts';
import { listOperatorClients, removeOperatorClient, setOperatorClient } from '../../connectors/operator-client.ts';
import type { OperatorClient as Row } from '../../db/generated/prisma/client.ts';
import { builder, confirmable } from '../builder.ts';
import { Notice } from './connector.ts';
import { ConnectionConfigEntry, ConnectionConfigEntryInput } from './named-value.ts';
import { Provider, providerOf } from './provider.ts';
import { RedirectUri } from './redirect-uri.ts';

type Shown = Omit<Row, 'clientSecretSealed'>;

const OperatorClient = builder.objectRef<Shown>('OperatorClient').implement({
  description:
    "An OAuth client that the operator holds at a provider of the catalogue, for every workspace's shared connectors that have none of their own. Its secret is never shown.",
  fields: (t) => ({
    provider: t.field({
      type: Provider,
      description: 'The provider.',
      resolve: ({ providerKey }) => providerOf(providerKey),
    }),
    clientId: t.exposeString('clientId', { description: 'The OAuth client id at the provider.' }),
    connectionConfig: t.field({
      type: [ConnectionConfigEntry],
      description: 'The settings that the client is for.',
      resolve: ({ connectionConfig }) => connectionConfig as unknown as NamedValue[],
    }),
    redirectUris: t.field({
      type: [RedirectUri],
      description: "What to register at the provider: the service's own redirect URI, which all flows come back to.",
      resolve: (_client, _args, { features }) => redirectUrisOf([], features.publicUrl, null),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was first given.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it last changed.' }),
  }),
});

builder.queryField('operatorClients', (t) =>
  t.field({
    type: [OperatorClient],
    description: "The OAuth clients of the operator's, by provider: at most one each. Operator only.",
    resolve: (_root, _args, { caller, features }) => listOperatorClients(features, caller),
  }),
);

const SetOperatorClientInput = builder.inputType('SetOperatorClientInput', {
  description: "An OAuth client of the operator's.",
  fields: (t) => ({
    providerKey: t.string({ description: 'A key from `providers`; not "custom".' }),
    clientId: t.string({ description: 'The OAuth client id at the provider.' }),
    clientSecret: t.string({ description: 'The OAuth client secret. It is never shown again.' }),
    connectionConfig: t.field({
      type: [ConnectionConfigEntryInput],
      required: false,
      description:
        'Further settings that the provider needs: see its `configFields`. They hold for every connector that uses the client.',
    }),
    confirm: t.boolean({
      defaultValue: false,
      description:
        'Without it, putting another client in the place of one that is in use answers who must connect again.',
    }),
  }),
});

const SetOperatorClientPayload = builder
  .objectRef<{ operatorClient: Shown; notices: ConnectorNotice[] }>('SetOperatorClientPayload')
  .implement({
    description: 'The client is in use.',
    fields: (t) => ({
      operatorClient: t.expose('operatorClient', { type: OperatorClient, description: 'The client as it is now.' }),
      notices: t.expose('notices', { type: [Notice], description: 'What was changed on the way.' }),
    }),
  });

const RemoveOperatorClientInput = builder.inputType('RemoveOperatorClientInput', {
  description: "A client of the operator's to take away.",
  fields: (t) => ({
    providerKey: t.string({ description: 'The provider.' }),
    confirm: t.boolean({ defaultValue: false, description: 'Without it, the answer says who would be blocked.' }),
  }),
});

const RemoveOperatorClientPayload = builder
  .objectRef<{ providerKey: string }>('RemoveOperatorClientPayload')
  .implement({
    description: 'The client is gone. The connectors that used it are drafts; the same client put back restores them.',
    fields: (t) => ({
      removedProviderKey: t.exposeString('providerKey', { description: 'The provider that it was for.' }),
    }),
  });

builder.mutationFields((t) => ({
  setOperatorClient: t.field({
    type: SetOperatorClientPayload,
    errors: confirmable,
    description:
      "Gives the service an OAuth client of the operator's at a provider, or changes it. Shared connectors without a client of their own use it; another client id there asks for all their accounts to be connected again, a new secret disturbs nobody. Operator only.",
    args: { input: t.arg({ type: SetOperatorClientInput, description: 'The client.' }) },
    resolve: (_root, { input }, { caller, features }) =>
      setOperatorClient(features, caller, { ...input, connectionConfig: input.connectionConfig ?? [] }),
  }),
  removeOperatorClient: t.field({
    type: RemoveOperatorClientPayload,
    errors: confirmable,
    description: "Takes a client of the operator's away, once confirmed. Operator only.",
    args: { input: t.arg({ type: RemoveOperatorClientInput, description: 'Which.' }) },
    resolve: async (_root, { input }, { caller, features }) => ({
      providerKey: await removeOperatorClient(features, caller, input),
    }),
  }),
}));
