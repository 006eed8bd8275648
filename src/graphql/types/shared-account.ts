import { AccountOwnedError, NotConnectedError, ProviderUnavailableError } from '../../connections/errors.ts';
import { disconnectShared, startSharedConnect, type StartedSharedFlow } from '../../connections/shared-account.ts';
import { idOf } from '../../lib/global-id.ts';
import { builder } from '../builder.ts';
import { AppUserConnection, connectionPayload } from './connection.ts';
import { ConnectBinding } from './enums.ts';

const ConnectSharedAccountInput = builder.inputType('ConnectSharedAccountInput', {
  description: 'What to connect for which app, and where to come back to.',
  fields: (t) => ({
    connectorId: t.id({ description: 'The connector, of kind SHARED.' }),
    appId: t.id({ description: 'The app whose account it is to be.' }),
    returnTo: t.string({
      required: false,
      description:
        "Where the browser goes afterwards: a path, or a URL on one of the app's own origins. By default the LIVE origin.",
    }),
    origin: t.string({
      required: false,
      description:
        "The app's origin, or the service's own, on which the member started, for callers that are no browser. By default the Origin header.",
    }),
    switchAccount: t.boolean({
      defaultValue: false,
      description: 'Consent again, to connect another account in place of the one that is connected.',
    }),
    takeOver: t.boolean({
      defaultValue: false,
      description: 'Replace the account even where somebody else has connected it.',
    }),
  }),
});

const ConnectSharedAccountPayload = builder.objectRef<StartedSharedFlow>('ConnectSharedAccountPayload').implement({
  description: 'Send the browser to `redirectUrl`, unless the account is authorized already.',
  fields: (t) => ({
    alreadyAuthorized: t.boolean({
      description: 'Whether the caller has connected the account already, with all that the connector asks for.',
      resolve: ({ flow }) => flow === null,
    }),
    redirectUrl: t.field({
      type: 'URL',
      nullable: true,
      description: "The provider's authorization URL; null where nothing is left to allow.",
      resolve: ({ flow }) => flow?.redirectUrl ?? null,
    }),
    expiresAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'The flow must be back by then.',
      resolve: ({ flow }) => flow?.expiresAt ?? null,
    }),
    binding: t.field({
      type: ConnectBinding,
      nullable: true,
      description: 'How the person who comes back is recognised as the one who began.',
      resolve: ({ flow }) => flow?.binding ?? null,
    }),
    connection: t.field({
      type: AppUserConnection,
      description: 'The connection as it is until the flow is back.',
      resolve: ({ connectionId }) => connectionId,
    }),
  }),
});

builder.mutationField('connectSharedAccount', (t) =>
  t.field({
    type: ConnectSharedAccountPayload,
    errors: { types: [AccountOwnedError, ProviderUnavailableError] },
    description:
      "Starts connecting the account that everyone in an app shares, from one of the app's origins or the service's own. Answers a URL, and navigates nowhere itself. OWNER, ADMIN and EDITOR.",
    args: { input: t.arg({ type: ConnectSharedAccountInput, description: 'What to connect.' }) },
    resolve: async (_root, { input }, { caller, features, request, setCookie }) => {
      const started = await startSharedConnect(
        features,
        caller,
        {
          ...input,
          connectorId: idOf('Connector', input.connectorId) ?? '',
          appId: idOf('App', input.appId) ?? '',
          returnTo: input.returnTo ?? null,
          origin: input.origin ?? null,
        },
        request,
      );
      if (started.flow?.cookie) setCookie(started.flow.cookie);
      return started;
    },
  }),
);

const DisconnectSharedAccountInput = builder.inputType('DisconnectSharedAccountInput', {
  description: 'What to disconnect from, for which app.',
  fields: (t) => ({
    connectorId: t.id({ description: 'The connector, of kind SHARED.' }),
    appId: t.id({ description: 'The app whose account it is.' }),
  }),
});

const DisconnectSharedAccountPayload = connectionPayload(
  'DisconnectSharedAccountPayload',
  'The tokens are gone; the grant is being revoked at the provider.',
);

builder.mutationField('disconnectSharedAccount', (t) =>
  t.field({
    type: DisconnectSharedAccountPayload,
    errors: { types: [NotConnectedError] },
    description:
      'Disconnects the account that everyone in an app shares, whoever connected it. No other app is touched. OWNER, ADMIN and EDITOR.',
    args: { input: t.arg({ type: DisconnectSharedAccountInput, description: 'What to disconnect from.' }) },
    resolve: async (_root, { input }, { caller, features }) => ({
      id: await disconnectShared(features, caller, {
        connectorId: idOf('Connector', input.connectorId) ?? '',
        appId: idOf('App', input.appId) ?? '',
      }),
    }),
  }),
);
