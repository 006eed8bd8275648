import { GraphQLError } from 'graphql';
import {
  AccountOwnedError,
  ConsentDeniedError,
  FlowExpiredError,
  FlowMismatchError,
  InvalidClientError,
  InvalidScopeError,
  NotConnectedError,
  ProviderTestingModeError,
  ProviderUnavailableError,
  ReconnectRequiredError,
  RedirectUriMismatchError,
} from '../connections/errors.ts';
import type { StreamEnd } from '../connections/status.ts';
import { ConnectorDisabledError, ConnectorIncompleteError } from '../connectors/errors.ts';
import { DomainError } from '../lib/domain-error.ts';
import {
  type AffectedApp,
  ConfirmationRequiredError,
  ForbiddenError,
  IdentityTokenExpiredError,
  NotFoundError,
  PlanRequiredError,
  RateLimitedError,
  UnauthenticatedError,
  ValidationError,
} from '../workspaces/errors.ts';
import { builder } from './builder.ts';
import { Plan, ReconnectReason } from './types/enums.ts';

const ErrorCode = builder.enumType('ErrorCode', {
  description: 'What went wrong, for programs.',
  values: {
    UNAUTHENTICATED: { description: 'Nobody we know is calling: sign in.' },
    FORBIDDEN: { description: 'The caller may not do this.' },
    NOT_FOUND: { description: 'There is nothing by that id that the caller may know of.' },
    VALIDATION: { description: 'A value cannot be taken; `fields` says which.' },
    PLAN_REQUIRED: { description: "The workspace's plan does not include this." },
    CONNECTOR_DISABLED: { description: 'The provider is switched off in this workspace.' },
    CONNECTOR_INCOMPLETE: { description: 'The connector has no client id or client secret yet.' },
    CONFIRMATION_REQUIRED: { description: 'The act must be confirmed; nothing has changed yet.' },
    NOT_CONNECTED: { description: 'The user has not connected an account.' },
    RECONNECT_REQUIRED: { description: 'The user must consent again.' },
    PROVIDER_UNAVAILABLE: {
      description:
        'The provider does not answer, or not sensibly. A connection is kept; a connect flow that ends so has changed nothing.',
    },
    ACCOUNT_OWNED: { description: "The shared account is somebody else's." },
    RATE_LIMITED: { description: 'Too many requests.' },
    FLOW_EXPIRED: { description: 'The connect flow is too old, was used before, or its connector changed meanwhile.' },
    FLOW_MISMATCH: { description: 'The connect flow was started by somebody else, or for something else.' },
    CONSENT_DENIED: { description: 'The user did not allow the access.' },
    INVALID_CLIENT: { description: 'The provider refuses the client id or client secret.' },
    INVALID_SCOPE: { description: 'The provider refuses the scopes.' },
    REDIRECT_URI_MISMATCH: { description: 'The provider refuses the redirect URI.' },
    PROVIDER_TESTING_MODE: {
      description: "The provider does not allow this account to use the connector's OAuth app.",
    },
  } as const,
});

const RemedyActor = builder.enumType('RemedyActor', {
  description: 'Who has to act for a failure to go away.',
  values: {
    ADMIN: { description: 'An OWNER or ADMIN of the workspace.' },
    USER: { description: 'The person using the app.' },
    PROVIDER: { description: 'The third party; nobody here can do anything but wait.' },
    OPERATOR: { description: 'Whoever runs this service.' },
  } as const,
});

const RemedyValue = builder.objectRef<{ label: string; value: string }>('RemedyValue').implement({
  description: 'An exact value to paste.',
  fields: (t) => ({
    label: t.exposeString('label', { description: 'What the value is.' }),
    value: t.exposeString('value', { description: 'The value, letter by letter.' }),
  }),
});

const Remedy = builder.objectRef<NonNullable<DomainError['remedy']>>('Remedy').implement({
  description: 'What to do about a failure.',
  fields: (t) => ({
    actor: t.expose('actor', { type: RemedyActor, description: 'Who has to act.' }),
    steps: t.exposeStringList('steps', { description: 'What to do, one act a step, in order.' }),
    values: t.expose('values', { type: [RemedyValue], description: 'The exact values to paste, where there are any.' }),
    docsUrl: t.expose('docsUrl', { type: 'URL', nullable: true, description: 'Where to read more.' }),
  }),
});

export const UserError = builder.interfaceRef<DomainError>('UserError').implement({
  description: 'Something the caller can understand and act on.',
  fields: (t) => ({
    code: t.field({
      type: ErrorCode,
      description: 'What went wrong, for programs.',
      resolve: (error) => error.code as typeof ErrorCode.$inferType,
    }),
    message: t.exposeString('message', { description: 'What went wrong, in a sentence for people.' }),
    remedy: t.expose('remedy', { type: Remedy, nullable: true, description: 'What to do about it.' }),
  }),
});

function plainError(errorClass: new (...facts: never[]) => DomainError, description: string) {
  const made = errorClass as new (message: string) => DomainError; // what it is made of is its own business
  return builder.objectType(made, { name: errorClass.name, description, interfaces: () => [UserError] });
}

plainError(UnauthenticatedError, 'Nobody we know is calling.');
plainError(ForbiddenError, 'The caller is known, and may not do this.');
plainError(NotFoundError, 'There is nothing by that id that the caller may know of.');
plainError(ConnectorDisabledError, 'The provider is switched off in this workspace.');
plainError(ConnectorIncompleteError, 'The connector has no client id or client secret yet.');
plainError(NotConnectedError, 'The user has not connected an account.');
plainError(FlowExpiredError, 'The connect flow is too old, was used before, or its connector changed meanwhile.');
plainError(FlowMismatchError, 'The connect flow was started by somebody else, or for something else.');
plainError(ConsentDeniedError, 'The user did not allow the access.');
plainError(InvalidClientError, 'The provider refuses the client id or client secret.');
plainError(InvalidScopeError, 'The provider refuses the scopes.');
plainError(RedirectUriMismatchError, 'The provider refuses the redirect URI.');
plainError(ProviderTestingModeError, "The provider does not allow this account to use the connector's OAuth app.");

const FieldFault = builder.objectRef<{ path: string; message: string }>('FieldFault').implement({
  description: 'What is wrong with one value.',
  fields: (t) => ({
    path: t.exposeString('path', { description: 'Where the value stands, such as input.scopes.2.' }),
    message: t.exposeString('message', { description: 'What is wrong with it, in a sentence for people.' }),
  }),
});

builder.objectType(ValidationError, {
  name: 'ValidationError',
  description: 'A value cannot be taken. Nothing was changed.',
  interfaces: [UserError],
  fields: (t) => ({ fields: t.expose('fields', { type: [FieldFault], description: 'Every value at fault.' }) }),
});

builder.objectType(PlanRequiredError, {
  name: 'PlanRequiredError',
  description:
    "The workspace's plan does not include this. Nothing is lost: a higher plan brings everything back at once.",
  interfaces: [UserError],
  fields: (t) => ({
    requiredPlan: t.expose('requiredPlan', { type: Plan, description: 'The lowest plan that includes it.' }),
    currentPlan: t.expose('currentPlan', { type: Plan, description: 'The plan in force.' }),
  }),
});

builder.objectType(RateLimitedError, {
  name: 'RateLimitedError',
  description: 'Too many requests.',
  interfaces: [UserError],
  fields: (t) => ({
    retryAfterSeconds: t.exposeInt('retryAfterSeconds', { description: 'Seconds until it is worth trying again.' }),
  }),
});

builder.objectType(ReconnectRequiredError, {
  name: 'ReconnectRequiredError',
  description: 'The user must consent again.',
  interfaces: [UserError],
  fields: (t) => ({
    reconnectReason: t.expose('reconnectReason', { type: ReconnectReason, description: 'Why.' }),
    missingScopes: t.exposeStringList('missingScopes', {
      description: 'What the connector asks for and the user has not granted.',
    }),
  }),
});

builder.objectType(ProviderUnavailableError, {
  name: 'ProviderUnavailableError',
  description:
    'The provider does not answer, or not sensibly. A connection is kept; a connect flow that ends so has changed nothing.',
  interfaces: [UserError],
  fields: (t) => ({
    retryAfterSeconds: t.exposeInt('retryAfterSeconds', { description: 'Seconds until it is worth trying again.' }),
  }),
});

export const AffectedConnections = builder.objectRef<AffectedApp>('AffectedConnections').implement({
  description: 'Live connections of one app that an act would touch.',
  fields: (t) => ({
    app: t.prismaField({
      type: 'App',
      description: 'The app.',
      // the client gathers these into one statement
      resolve: (query, { appId }, _args, { features }) =>
        features.db.app.findUniqueOrThrow({ ...query, where: { id: appId } }),
    }),
    count: t.exposeInt('connections', { description: 'How many there are.' }),
  }),
});

builder.objectType(AccountOwnedError, {
  name: 'AccountOwnedError',
  description:
    'Another member has connected this shared account. Nothing has changed; it is replaced only where that is asked for.',
  interfaces: [UserError],
  fields: (t) => ({
    owner: t.exposeString('owner', {
      description: "The member who connected it: a person's `sub`, or `key:` and the id of a workspace key.",
    }),
  }),
});

builder.objectType(ConfirmationRequiredError, {
  name: 'ConfirmationRequiredError',
  description: 'The act is large: repeat it with `confirm: true`. Nothing has changed yet.',
  interfaces: [UserError],
  fields: (t) => ({
    affectedUsers: t.exposeInt('affectedUsers', {
      description:
        "How many users are connected through it with accounts of their own. An account that an app shares is nobody's own: `affectedConnections` counts it.",
    }),
    affectedApps: t.prismaField({
      type: ['App'],
      description: 'The apps in which they are connected.',
      resolve: (query, error, _args, { features }) =>
        features.db.app.findMany({
          ...query,
          where: { id: { in: error.affectedConnections.map(({ appId }) => appId) } },
          orderBy: { createdAt: 'asc' },
        }),
    }),
    affectedConnections: t.expose('affectedConnections', {
      type: [AffectedConnections],
      description: 'How many live connections each of these apps has: of its users, or the one that it shares.',
    }),
  }),
});

/** An error as the value of a field: graphql-js takes an Error that a resolver returns for one that was thrown. */
export function asValue(error: DomainError): DomainError & { __typename: string } {
  return Object.assign({}, error, { name: error.name, message: error.message, __typename: error.name });
}

/** The one place where an error of ours becomes a GraphQL error: on a field that is no union. Null for everything else. */
export function toGraphqlError(error: unknown): GraphQLError | null {
  if (!(error instanceof DomainError)) return null;
  const close = error instanceof IdentityTokenExpiredError ? closeWith('identity-token-expired') : {};
  return new GraphQLError(error.message, { extensions: { code: error.code, ...close } });
}

/** Errors of a flow that talks to a provider. */
export const flowErrors = [
  ProviderUnavailableError,
  FlowExpiredError,
  FlowMismatchError,
  ConsentDeniedError,
  InvalidClientError,
  InvalidScopeError,
  RedirectUriMismatchError,
  ProviderTestingModeError,
];

/** The close code of a socket whose caller may no longer ask: sign in again. The reason says why. */
export const accessEndedCloseCode = 4403;

const closeWith = (reason: StreamEnd) => ({ closeCode: accessEndedCloseCode, reason });

/** The last event of a stream that ended by itself. */
export function streamEnded(reason: StreamEnd): GraphQLError {
  return new GraphQLError(reason, { extensions: { code: 'UNAUTHENTICATED', ...closeWith(reason) } });
}
