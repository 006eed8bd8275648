import { completeConnect, startConnect } from '../../connections/connect.ts';
import { disconnect } from '../../connections/disconnect.ts';
import {
  AccountOwnedError,
  NotConnectedError,
  ProviderUnavailableError,
  ReconnectRequiredError,
} from '../../connections/errors.ts';
import { type ConnectionView, loadConnections, type StatusChange } from '../../connections/status.ts';
import { readSharedToken, readToken, type TokenAnswer } from '../../connections/token.ts';
import { idOf } from '../../lib/global-id.ts';
import { NotFoundError } from '../../workspaces/errors.ts';
import { builder } from '../builder.ts';
import { asCurrentCaller } from '../context.ts';
import { asValue, flowErrors, streamEnded, UserError } from '../errors.ts';
import { ConnectBinding, ConnectionStatus, ReconnectReason } from './enums.ts';
import { ConnectionConfigEntry } from './named-value.ts';

const ConnectedAccount = builder.objectRef<NonNullable<ConnectionView['account']>>('ConnectedAccount').implement({
  description: 'The account at the provider, as far as the provider tells.',
  fields: (t) => ({
    id: t.exposeString('id', { nullable: true, description: "The provider's own immutable id." }),
    email: t.exposeString('email', { nullable: true, description: 'The e-mail address.' }),
    name: t.exposeString('name', { nullable: true, description: 'The display name.' }),
  }),
});

export const AppUserConnection = builder.loadableNodeRef('AppUserConnection', {
  id: { resolve: (view: ConnectionView) => view.id },
  load: async (ids: string[], { caller, features }): Promise<(ConnectionView | null)[]> =>
    loadConnections(features, caller, ids),
  toKey: (view: ConnectionView) => view.id,
  cacheResolved: false,
});

builder.objectType(AppUserConnection, {
  name: 'AppUserConnection',
  description:
    'The link between an app user (or, for a shared connector, a whole app) and an account at a provider. Its id is the same before, during and after being connected. It carries no token.',
  fields: (t) => ({
    status: t.expose('status', { type: ConnectionStatus, description: 'What it is at this instant.' }),
    reconnectReason: t.expose('reconnectReason', {
      type: ReconnectReason,
      nullable: true,
      description: 'Why the user must consent again, where they must.',
    }),
    problem: t.field({
      type: UserError,
      nullable: true,
      description: 'Why it is unavailable, where it is.',
      resolve: ({ problem }) => problem && asValue(problem),
    }),
    account: t.expose('account', { type: ConnectedAccount, nullable: true, description: 'Whose account it is.' }),
    requestedScopes: t.exposeStringList('requestedScopes', { description: 'What was asked for at consent.' }),
    grantedScopes: t.exposeStringList('grantedScopes', { description: 'What the user granted.' }),
    missingScopes: t.exposeStringList('missingScopes', {
      description: 'What the connector asks for now and the user has not granted.',
    }),
    connectionConfig: t.expose('connectionConfig', {
      type: [ConnectionConfigEntry],
      description: 'Further settings that API calls need.',
    }),
    connectedAt: t.expose('connectedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was last connected.',
    }),
    lastRefreshedAt: t.expose('lastRefreshedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When its access token was last refreshed.',
    }),
    lastVerifiedAt: t.expose('lastVerifiedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the provider last accepted the grant.',
    }),
    ownedBy: t.exposeString('ownedBy', {
      nullable: true,
      description:
        "Who connected an account that everyone in the app shares: a person's `sub`, or `key:` and the id of a workspace key. For members; null for users' own.",
    }),
  }),
});

/** A type that carries a token. There are two: a user's, and an app's. */
const tokenAnswer = (name: string, description: string) =>
  builder.objectRef<TokenAnswer>(name).implement({
    description,
    fields: (t) => ({
      accessToken: t.string({
        description: "The provider's access token. Do not log it.",
        resolve: ({ accessToken }) => accessToken.reveal(),
      }),
      tokenType: t.exposeString('tokenType', { description: 'How to present it: Bearer, mostly (RFC 6750).' }),
      accessTokenExpiresAt: t.expose('accessTokenExpiresAt', {
        type: 'DateTime',
        nullable: true,
        description: 'When it ends; null where the provider does not say.',
      }),
      accessTokenFingerprint: t.exposeString('accessTokenFingerprint', {
        description:
          'The first 16 hex digits of its SHA-256: hand it back as rejectedTokenFingerprint if the provider refuses it.',
      }),
      grantedScopes: t.stringList({
        description: 'What it allows.',
        resolve: ({ connection }) => connection.grantedScopes,
      }),
      missingScopes: t.stringList({
        description: 'What the connector asks for and it does not allow.',
        resolve: ({ connection }) => connection.missingScopes,
      }),
      connectionConfig: t.field({
        type: [ConnectionConfigEntry],
        description: 'Further settings that API calls need.',
        resolve: ({ connection }) => connection.connectionConfig,
      }),
      connection: t.expose('connection', { type: AppUserConnection, description: 'The connection it belongs to.' }),
    }),
  });

const CurrentAppUserConnection = tokenAnswer(
  'CurrentAppUserConnection',
  "The calling user's access token, for backend functions only. No other type carries a user's.",
);

const SharedConnection = tokenAnswer(
  'SharedConnection',
  'The access token of the account that everyone in the calling app shares, for backend functions only.',
);

const tokenReadErrors = { types: [NotConnectedError, ReconnectRequiredError, ProviderUnavailableError] };

builder.queryField('currentAppUserConnection', (t) =>
  t.field({
    type: CurrentAppUserConnection,
    errors: tokenReadErrors,
    description:
      "The calling user's valid access token for a connector. Needs the app's key and, in On-Behalf-Of, the user's identity token. While the stored token is good it is answered without waiting for the provider.",
    args: {
      connectorId: t.arg.id({ description: "The connector's id." }),
      minValiditySeconds: t.arg.int({
        required: false,
        description:
          'The token must be good for at least this many seconds (at most 86400). A token issued within the last minute is answered as it is.',
      }),
      acceptOutdatedScopes: t.arg.boolean({
        required: false,
        defaultValue: false,
        description: 'While SCOPES_CHANGED waits for the user, answer the old token.',
      }),
      rejectedTokenFingerprint: t.arg.string({
        required: false,
        description:
          "The accessTokenFingerprint of a token that the provider refused: it is replaced, if it is still the stored one. Without a refresh token, the provider's identity endpoint is asked whether it means it; where there is none either, the same token is answered once more, since no connection ends on a caller's word.",
      }),
    },
    resolve: (_root, args, context) =>
      asCurrentCaller(context, (caller) =>
        readToken(context.features, caller, idOf('Connector', args.connectorId) ?? '', {
          minValiditySeconds: args.minValiditySeconds ?? null,
          acceptOutdatedScopes: args.acceptOutdatedScopes ?? false,
          rejectedTokenFingerprint: args.rejectedTokenFingerprint ?? null,
        }),
      ),
  }),
);

builder.queryField('sharedConnection', (t) =>
  t.field({
    type: SharedConnection,
    errors: tokenReadErrors,
    description:
      "A valid access token of the account that everyone in the calling app shares, for a connector of kind SHARED. Needs the app's key alone. While the stored token is good it is answered without waiting for the provider.",
    args: {
      connectorId: t.arg.id({ description: "The connector's id." }),
      minValiditySeconds: t.arg.int({
        required: false,
        description:
          'The token must be good for at least this many seconds (at most 86400). A token issued within the last minute is answered as it is.',
      }),
      rejectedTokenFingerprint: t.arg.string({
        required: false,
        description:
          "The accessTokenFingerprint of a token that the provider refused: it is replaced, if it is still the stored one. Without a refresh token, the provider's identity endpoint is asked whether it means it; where there is none either, the same token is answered once more, since no connection ends on a caller's word.",
      }),
    },
    resolve: (_root, args, context) =>
      asCurrentCaller(context, (caller) =>
        readSharedToken(context.features, caller, idOf('Connector', args.connectorId) ?? '', {
          minValiditySeconds: args.minValiditySeconds ?? null,
          rejectedTokenFingerprint: args.rejectedTokenFingerprint ?? null,
        }),
      ),
  }),
);

const ConnectAppUserInput = builder.inputType('ConnectAppUserInput', {
  description: 'What to connect, and where to come back to.',
  fields: (t) => ({
    connectorId: t.id({ description: 'The connector.' }),
    returnTo: t.string({
      required: false,
      description:
        "Where the browser goes afterwards: a path, or a URL on one of the app's own origins. By default the LIVE origin.",
    }),
    origin: t.string({
      required: false,
      description:
        "The app's origin on which the user started, for callers that are no browser. By default the Origin header.",
    }),
  }),
});

const ConnectAppUserPayload = builder
  .objectRef<{ redirectUrl: string; expiresAt: Date; binding: typeof ConnectBinding.$inferType; connectionId: string }>(
    'ConnectAppUserPayload',
  )
  .implement({
    description: 'Send the browser to `redirectUrl`.',
    fields: (t) => ({
      redirectUrl: t.expose('redirectUrl', { type: 'URL', description: "The provider's authorization URL." }),
      expiresAt: t.expose('expiresAt', { type: 'DateTime', description: 'The flow must be back by then.' }),
      binding: t.expose('binding', {
        type: ConnectBinding,
        description: 'How the person who comes back is recognised as the one who began.',
      }),
      connection: t.field({
        type: AppUserConnection,
        description: 'The connection as it is until the flow is back.',
        resolve: ({ connectionId }) => connectionId,
      }),
    }),
  });

builder.mutationField('connectAppUser', (t) =>
  t.field({
    type: ConnectAppUserPayload,
    errors: { types: [ProviderUnavailableError] },
    description: 'Starts connecting the calling user. Answers a URL, and navigates nowhere itself.',
    args: { input: t.arg({ type: ConnectAppUserInput, description: 'What to connect.' }) },
    resolve: async (_root, { input }, { caller, features, request, setCookie }) => {
      const { cookie, ...started } = await startConnect(
        features,
        caller,
        {
          connectorId: idOf('Connector', input.connectorId) ?? '',
          returnTo: input.returnTo ?? null,
          origin: input.origin ?? null,
        },
        request,
      );
      if (cookie) setCookie(cookie);
      return started;
    },
  }),
);

const CompleteConnectionInput = builder.inputType('CompleteConnectionInput', {
  description: 'What the callback brought back.',
  fields: (t) => ({
    connectCode: t.string({ description: 'The `connect_code` parameter of the page the browser came back to.' }),
  }),
});

export const connectionPayload = (name: string, description: string) =>
  builder.objectRef<{ id: string }>(name).implement({
    description,
    fields: (t) => ({
      connection: t.field({
        type: AppUserConnection,
        description: 'The connection as it is now.',
        resolve: ({ id }) => id,
      }),
    }),
  });

const CompleteConnectionPayload = connectionPayload('CompleteConnectionPayload', 'The account is connected.');

builder.mutationField('completeConnection', (t) =>
  t.field({
    type: CompleteConnectionPayload,
    errors: { types: [...flowErrors, AccountOwnedError] },
    description:
      'Finishes a flow whose binding is CODE, for the user or member who began it. A code works once, for five minutes.',
    args: { input: t.arg({ type: CompleteConnectionInput, description: 'What the callback brought back.' }) },
    resolve: async (_root, { input }, { caller, features }) => ({
      id: await completeConnect(features, caller, input.connectCode),
    }),
  }),
);

const DisconnectAppUserInput = builder.inputType('DisconnectAppUserInput', {
  description: 'What to disconnect from.',
  fields: (t) => ({ connectorId: t.id({ description: 'The connector.' }) }),
});

const DisconnectAppUserPayload = connectionPayload(
  'DisconnectAppUserPayload',
  'The tokens are gone; the grant is being revoked at the provider.',
);

builder.mutationField('disconnectAppUser', (t) =>
  t.field({
    type: DisconnectAppUserPayload,
    errors: { types: [NotConnectedError] },
    description: 'Disconnects the calling user from a connector. Nobody else is touched.',
    args: { input: t.arg({ type: DisconnectAppUserInput, description: 'What to disconnect from.' }) },
    resolve: async (_root, { input }, { caller, features }) => ({
      id: await disconnect(features, caller, idOf('Connector', input.connectorId) ?? ''),
    }),
  }),
);

const ConnectionStatusEvent = builder.objectRef<StatusChange & { askedId: string }>('ConnectionStatusEvent').implement({
  description:
    'The status of the calling user, or of the account that an app shares, at a connector, as of an instant.',
  fields: (t) => ({
    connectorId: t.id({
      description: 'The connector that was asked about.',
      resolve: ({ askedId }) => askedId,
    }),
    connection: t.field({
      type: AppUserConnection,
      nullable: true,
      description: 'The connection; null where there is no such connector.',
      resolve: ({ view }) => view,
    }),
    status: t.field({
      type: ConnectionStatus,
      description: 'What the connection is.',
      resolve: ({ view }) => view?.status ?? 'UNAVAILABLE',
    }),
    reconnectReason: t.field({
      type: ReconnectReason,
      nullable: true,
      description: 'Why the user must consent again, where they must.',
      resolve: ({ view }) => view?.reconnectReason ?? null,
    }),
    problem: t.field({
      type: UserError,
      nullable: true,
      description: 'Why it is unavailable, where it is.',
      resolve: ({ view }) => {
        const problem = view ? view.problem : new NotFoundError('connector');
        return problem && asValue(problem);
      },
    }),
    missingScopes: t.stringList({
      description: 'What the connector asks for now and the user has not granted.',
      resolve: ({ view }) => view?.missingScopes ?? [],
    }),
    at: t.expose('at', { type: 'DateTime', description: 'When it was so.' }),
  }),
});

builder.subscriptionField('connectionStatus', (t) =>
  t.field({
    type: ConnectionStatusEvent,
    authScopes: { signedIn: true },
    description:
      "The calling user's status at a connector: now, at once, then every change. Ends with the identity token, or once the caller may no longer ask: over WebSocket with close code 4403 `identity-token-expired` or `access-ended`, over SSE with that as the last event's error. Where changes may have been missed, the present status comes again. At a connector of kind SHARED a backend function without a user hears of the account of its app, and a member of the one of the app they name.",
    args: {
      connectorId: t.arg.id({ description: "The connector's id." }),
      appId: t.arg.id({
        required: false,
        description: 'Whose shared account it is about: for members, who must say it. An app hears of itself.',
      }),
    },
    subscribe: (_root, { connectorId, appId = null }, { caller, identify, features }) => {
      const app = appId === null ? null : (idOf('App', appId) ?? '');
      return features.watchStatus(caller, identify, idOf('Connector', connectorId) ?? '', app);
    },
    resolve: (change, { connectorId }) => {
      if (typeof change === 'string') throw streamEnded(change);
      return { ...change, askedId: connectorId };
    },
  }),
);
