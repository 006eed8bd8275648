import type { ErrorCode, Plan, ReconnectReason, UserErrorFieldsFragment } from './generated/operations.ts';

/** What to do about a failure: who has to act, the steps in order, and exact values to paste where there are any. */
export type Remedy = NonNullable<UserErrorFieldsFragment['remedy']>;

/** What the service says of an expected failure: the `problem` of a connection, or the content of an error that is thrown. */
export type ConnectorProblem = UserErrorFieldsFragment;

/** The code of an error of this library: one of the service's, or one of what happens before the service is reached. */
export type ConnectorErrorCode =
  | ErrorCode
  | 'SERVICE_UNAVAILABLE'
  | 'UNEXPECTED_ANSWER'
  | 'POPUP_BLOCKED'
  | 'POPUP_CLOSED';

/** What makes an error. */
export interface ErrorDetails {
  message?: string | undefined;
  remedy?: Remedy | null | undefined;
  connectorId?: string | null | undefined;
  cause?: unknown;
  retryAfterSeconds?: number | undefined;
  requiredPlan?: Plan | undefined;
  currentPlan?: Plan | undefined;
  reconnectReason?: ReconnectReason | undefined;
  missingScopes?: readonly string[] | undefined;
  fields?: readonly { readonly path: string; readonly message: string }[] | undefined;
  owner?: string | undefined;
}

/**
 * Every expected failure. `code` tells one from another for programs, `message` for people, `remedy` says what to do.
 * Narrow with `isConnectorError` and switch over `code`, or use `instanceof` with one of the classes.
 */
export abstract class ConnectorError extends Error {
  /** What went wrong, for programs. */
  abstract readonly code: ConnectorErrorCode;
  /** What to do about it, where the service says. */
  remedy: Remedy | null;
  /** The connector of a flow that came back with this error; null elsewhere. */
  connectorId: string | null;

  constructor(message: string, { message: told, remedy, connectorId, cause }: ErrorDetails = {}) {
    super(told || message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.remedy = remedy ?? null;
    this.connectorId = connectorId ?? null;
  }
}

/** Nobody we know is calling: sign in, and answer a fresh identity token from `getToken`. */
export class UnauthenticatedError extends ConnectorError {
  readonly code = 'UNAUTHENTICATED';
  constructor(details?: ErrorDetails) {
    super('Sign in first.', details);
  }
}

/** The caller is known, and may not do this. */
export class ForbiddenError extends ConnectorError {
  readonly code = 'FORBIDDEN';
  constructor(details?: ErrorDetails) {
    super('You may not do this.', details);
  }
}

/** There is no such connector, or none that the caller may know of. */
export class NotFoundError extends ConnectorError {
  readonly code = 'NOT_FOUND';
  constructor(details?: ErrorDetails) {
    super('This connector is no longer offered.', details);
  }
}

/** A value cannot be taken. Nothing was changed. */
export class ValidationError extends ConnectorError {
  readonly code = 'VALIDATION';
  /** Every value at fault: where it stands, and what is wrong with it. */
  readonly fields: readonly { readonly path: string; readonly message: string }[];
  constructor(details?: ErrorDetails) {
    super('A value cannot be taken.', details);
    this.fields = details?.fields ?? [];
  }
}

/** The workspace's plan does not include this. */
export class PlanRequiredError extends ConnectorError {
  readonly code = 'PLAN_REQUIRED';
  /** The lowest plan that includes it; null where only the code is known. */
  readonly requiredPlan: Plan | null;
  /** The plan in force; null where only the code is known. */
  readonly currentPlan: Plan | null;
  constructor(details?: ErrorDetails) {
    super('The plan of this workspace does not include this.', details);
    this.requiredPlan = details?.requiredPlan ?? null;
    this.currentPlan = details?.currentPlan ?? null;
  }
}

/** The provider is switched off in this workspace. */
export class ConnectorDisabledError extends ConnectorError {
  readonly code = 'CONNECTOR_DISABLED';
  constructor(details?: ErrorDetails) {
    super('This connector has been switched off.', details);
  }
}

/** The connector has no client id or client secret yet. */
export class ConnectorIncompleteError extends ConnectorError {
  readonly code = 'CONNECTOR_INCOMPLETE';
  constructor(details?: ErrorDetails) {
    super('This connector is not set up completely.', details);
  }
}

/** The act must be confirmed; nothing has changed yet. */
export class ConfirmationRequiredError extends ConnectorError {
  readonly code = 'CONFIRMATION_REQUIRED';
  constructor(details?: ErrorDetails) {
    super('This has to be confirmed.', details);
  }
}

/** The user has not connected an account. */
export class NotConnectedError extends ConnectorError {
  readonly code = 'NOT_CONNECTED';
  constructor(details?: ErrorDetails) {
    super('No account is connected.', details);
  }
}

/** The user must consent again. */
export class ReconnectRequiredError extends ConnectorError {
  readonly code = 'RECONNECT_REQUIRED';
  /** Why; null where only the code is known. */
  readonly reconnectReason: ReconnectReason | null;
  /** What the connector asks for and the user has not granted. */
  readonly missingScopes: readonly string[];
  constructor(details?: ErrorDetails) {
    super('The account has to be connected again.', details);
    this.reconnectReason = details?.reconnectReason ?? null;
    this.missingScopes = details?.missingScopes ?? [];
  }
}

/** The provider does not answer, or not sensibly. A connection is kept. */
export class ProviderUnavailableError extends ConnectorError {
  readonly code = 'PROVIDER_UNAVAILABLE';
  /** Seconds until it is worth trying again; null where only the code is known. */
  readonly retryAfterSeconds: number | null;
  constructor(details?: ErrorDetails) {
    super('The provider did not answer. Nothing has changed; try again in a moment.', details);
    this.retryAfterSeconds = details?.retryAfterSeconds ?? null;
  }
}

/** The shared account is somebody else's. */
export class AccountOwnedError extends ConnectorError {
  readonly code = 'ACCOUNT_OWNED';
  /** The member who connected it; null where only the code is known. */
  readonly owner: string | null;
  constructor(details?: ErrorDetails) {
    super('Somebody else has connected this account.', details);
    this.owner = details?.owner ?? null;
  }
}

/** Too many requests. */
export class RateLimitedError extends ConnectorError {
  readonly code = 'RATE_LIMITED';
  /** Seconds until it is worth trying again; null where only the code is known. */
  readonly retryAfterSeconds: number | null;
  constructor(details?: ErrorDetails) {
    super('Too many requests. Try again in a moment.', details);
    this.retryAfterSeconds = details?.retryAfterSeconds ?? null;
  }
}

/** The connect flow is too old, was used before, or its connector changed meanwhile. */
export class FlowExpiredError extends ConnectorError {
  readonly code = 'FLOW_EXPIRED';
  constructor(details?: ErrorDetails) {
    super('That took too long, or the link had been used before. Begin again.', details);
  }
}

/** The connect flow was started by somebody else. */
export class FlowMismatchError extends ConnectorError {
  readonly code = 'FLOW_MISMATCH';
  constructor(details?: ErrorDetails) {
    super(
      'This was begun in another browser or by somebody else, so nothing was connected. Begin again here.',
      details,
    );
  }
}

/** The user did not allow the access. */
export class ConsentDeniedError extends ConnectorError {
  readonly code = 'CONSENT_DENIED';
  constructor(details?: ErrorDetails) {
    super('You did not allow access. Nothing has changed, and you can try again at any time.', details);
  }
}

/** The provider refuses the connector's client id or client secret. */
export class InvalidClientError extends ConnectorError {
  readonly code = 'INVALID_CLIENT';
  constructor(details?: ErrorDetails) {
    super('The provider does not recognise this app. An admin has to correct the client id or secret.', details);
  }
}

/** The provider refuses the connector's scopes. */
export class InvalidScopeError extends ConnectorError {
  readonly code = 'INVALID_SCOPE';
  constructor(details?: ErrorDetails) {
    super('The provider does not offer what this app asks for. An admin has to correct the scopes.', details);
  }
}

/** The provider refuses the redirect URI. */
export class RedirectUriMismatchError extends ConnectorError {
  readonly code = 'REDIRECT_URI_MISMATCH';
  constructor(details?: ErrorDetails) {
    super("The provider does not know this app's address. An admin has to register it there.", details);
  }
}

/** The provider does not allow this account to use the connector's OAuth app. */
export class ProviderTestingModeError extends ConnectorError {
  readonly code = 'PROVIDER_TESTING_MODE';
  constructor(details?: ErrorDetails) {
    super('The provider lets only invited people use this app so far. Ask an admin to invite you.', details);
  }
}

/** The service cannot be reached, or says that it cannot answer now. */
export class ServiceUnavailableError extends ConnectorError {
  readonly code = 'SERVICE_UNAVAILABLE';
  constructor(details?: ErrorDetails) {
    super('The connector service does not answer. Try again in a moment.', details);
  }
}

/** What answered is not the service, or one that this version of the library does not understand. */
export class UnexpectedAnswerError extends ConnectorError {
  readonly code = 'UNEXPECTED_ANSWER';
  constructor(details?: ErrorDetails) {
    super('The connector service gave an answer that is not understood.', details);
  }
}

/** The browser did not open the popup: call from a click, or use the redirect mode. */
export class PopupBlockedError extends ConnectorError {
  readonly code = 'POPUP_BLOCKED';
  constructor(details?: ErrorDetails) {
    super('The browser blocked the window. Allow windows for this site, and try again.', details);
  }
}

/** The popup was closed before the flow came back. A provider that cuts it off from its opener looks the same: see the status. */
export class PopupClosedError extends ConnectorError {
  readonly code = 'POPUP_CLOSED';
  constructor(details?: ErrorDetails) {
    super('The window was closed before the account was connected.', details);
  }
}

const classes = {
  UNAUTHENTICATED: UnauthenticatedError,
  FORBIDDEN: ForbiddenError,
  NOT_FOUND: NotFoundError,
  VALIDATION: ValidationError,
  PLAN_REQUIRED: PlanRequiredError,
  CONNECTOR_DISABLED: ConnectorDisabledError,
  CONNECTOR_INCOMPLETE: ConnectorIncompleteError,
  CONFIRMATION_REQUIRED: ConfirmationRequiredError,
  NOT_CONNECTED: NotConnectedError,
  RECONNECT_REQUIRED: ReconnectRequiredError,
  PROVIDER_UNAVAILABLE: ProviderUnavailableError,
  ACCOUNT_OWNED: AccountOwnedError,
  RATE_LIMITED: RateLimitedError,
  FLOW_EXPIRED: FlowExpiredError,
  FLOW_MISMATCH: FlowMismatchError,
  CONSENT_DENIED: ConsentDeniedError,
  INVALID_CLIENT: InvalidClientError,
  INVALID_SCOPE: InvalidScopeError,
  REDIRECT_URI_MISMATCH: RedirectUriMismatchError,
  PROVIDER_TESTING_MODE: ProviderTestingModeError,
  SERVICE_UNAVAILABLE: ServiceUnavailableError,
  UNEXPECTED_ANSWER: UnexpectedAnswerError,
  POPUP_BLOCKED: PopupBlockedError,
  POPUP_CLOSED: PopupClosedError,
} satisfies { [Code in ConnectorErrorCode]: new (details?: ErrorDetails) => ConnectorError & { code: Code } };

/** Any error of this library, as a union whose `code` tells which: a switch over it narrows to the class. */
export type AnyConnectorError = InstanceType<(typeof classes)[ConnectorErrorCode]>;

/** Whether something caught is an error of this library; then a switch over its `code` narrows it. */
export function isConnectorError(error: unknown): error is AnyConnectorError {
  return error instanceof ConnectorError;
}

/** The error of a code; a code that this version does not know makes an UnexpectedAnswerError that names it. */
export function errorOf(code: string, details?: ErrorDetails): AnyConnectorError {
  const known = Object.hasOwn(classes, code) ? classes[code as ConnectorErrorCode] : null;
  return known ? new known(details) : new UnexpectedAnswerError({ message: `Unknown: ${code}.`, ...details });
}
