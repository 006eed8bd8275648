import { type ConnectorCheck, checkConnector } from '../../connections/check.ts';
import { idOf } from '../../lib/global-id.ts';
import { builder } from '../builder.ts';
import { asValue, UserError } from '../errors.ts';
import { Connector } from './connector.ts';
import { OriginKind } from './enums.ts';

const Acceptance = builder.enumType('Acceptance', {
  description: 'What a provider thinks of a setting.',
  values: {
    ACCEPTED: { description: 'The provider accepts it.' },
    REFUSED: { description: 'The provider refuses it.' },
    UNKNOWN: {
      description: 'The provider does not let one ask: whoever connects first finds out. It may well be right.',
    },
  } as const,
});

const EndpointCheck = builder.objectRef<ConnectorCheck['endpoints'][number]>('EndpointCheck').implement({
  description: 'Whether an address of the provider answers.',
  fields: (t) => ({
    name: t.expose('name', {
      type: builder.enumType('EndpointName', {
        description: 'What an address is for.',
        values: {
          ISSUER: { description: 'Tells the other addresses; shown where it could not be asked for them.' },
          AUTHORIZATION: { description: 'Where people consent.' },
          TOKEN: { description: 'Where codes and refresh tokens are exchanged.' },
        } as const,
      }),
      description: 'Which address it is.',
    }),
    url: t.exposeString('url', { description: 'The address.' }),
    reachable: t.boolean({
      description: 'Whether it answers, whatever it says.',
      resolve: ({ problem }) => problem === null,
    }),
    problem: t.field({
      type: UserError,
      nullable: true,
      description: 'Why it does not answer, and what to do about it.',
      resolve: ({ problem }) => problem && asValue(problem),
    }),
  }),
});

const RedirectUriCheck = builder.objectRef<ConnectorCheck['redirectUris'][number]>('RedirectUriCheck').implement({
  description: 'A redirect URI to register at the provider, and whether it is there.',
  fields: (t) => ({
    kind: t.expose('kind', { type: OriginKind, description: 'The kind of origin it is for.' }),
    uri: t.exposeString('uri', { description: 'The URI, letter by letter.' }),
    acceptance: t.expose('acceptance', { type: Acceptance, description: 'Whether the provider takes it.' }),
  }),
});

const CheckConnectorInput = builder.inputType('CheckConnectorInput', {
  description: 'The connector to check.',
  fields: (t) => ({ connectorId: t.id({ description: 'The connector.' }) }),
});

const CheckConnectorPayload = builder
  .objectRef<ConnectorCheck & { connectorId: string }>('CheckConnectorPayload')
  .implement({
    description: "What is known of a connector's settings without any user having tried. Nothing was changed.",
    fields: (t) => ({
      connector: t.prismaField({
        type: Connector,
        description: 'The connector.',
        resolve: (query, { connectorId }, _args, { features }) =>
          features.db.connector.findUniqueOrThrow({ ...query, where: { id: connectorId } }),
      }),
      endpoints: t.expose('endpoints', { type: [EndpointCheck], description: "The provider's addresses." }),
      client: t.expose('client', {
        type: Acceptance,
        description:
          'Whether the provider takes client id and client secret: found out with a code that nobody was given.',
      }),
      redirectUris: t.expose('redirectUris', {
        type: [RedirectUriCheck],
        description:
          "Every redirect URI to register: those of all the workspace's apps, and the service's own last. At most ten are tried.",
      }),
      problems: t.field({
        type: [UserError],
        description:
          'What is wrong and what to do about it, the first to be mended first; empty where nothing was found.',
        resolve: ({ problems }) => problems.map(asValue),
      }),
      checkedAt: t.expose('checkedAt', { type: 'DateTime', description: 'When it was so.' }),
    }),
  });

builder.mutationField('checkConnector', (t) =>
  t.field({
    type: CheckConnectorPayload,
    errors: {},
    description:
      "Tries a connector's settings at its provider, before any user does: whether its addresses answer, whether it takes the client and the redirect URIs. Takes a few seconds at most; a connector can be checked six times at once and then every ten seconds. OWNER and ADMIN.",
    args: { input: t.arg({ type: CheckConnectorInput, description: 'The connector to check.' }) },
    resolve: async (_root, { input }, { caller, features }) => {
      const connectorId = idOf('Connector', input.connectorId) ?? '';
      return { connectorId, ...(await checkConnector(features, caller, connectorId)) };
    },
  }),
);
