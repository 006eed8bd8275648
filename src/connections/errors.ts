import { DomainError, type Remedy, remedy } from '../lib/domain-error.ts';
import { ValidationError } from '../workspaces/errors.ts';
import type { ReconnectReason } from './connection.ts';

/** The user has not connected an account. */
export class NotConnectedError extends DomainError {
  readonly code = 'NOT_CONNECTED';

  constructor() {
    super('No account is connected.', { remedy: remedy('USER', 'Press Connect and allow the access.') });
  }
}

/** Another member has connected the account that everyone in the app shares. */
export class AccountOwnedError extends DomainError {
  readonly code = 'ACCOUNT_OWNED';
  /** The member's subject. */
  readonly owner: string;

  constructor(owner: string) {
    super('Somebody else has connected this shared account. Nothing has changed.', {
      remedy: remedy(
        'USER',
        'Ask its owner whether it may be replaced.',
        'Start again with takeOver: true, and connect your account in its place.',
      ),
    });
    this.owner = owner;
  }
}

/** The app shares accounts through several connectors of one provider: its key names none of them. */
export class AmbiguousProviderError extends ValidationError {
  override readonly remedy: Remedy;

  constructor(connectorIds: string[]) {
    const message = `The app shares more than one account at this provider: read one by its connector's id (${connectorIds.join(', ')}).`;
    super([{ path: 'providerKey', message }]);
    this.remedy = {
      ...remedy('ADMIN', 'Choose the connector below that is meant.', 'Name it by its id instead of its provider.'),
      values: connectorIds.map((value) => ({ label: 'Connector', value })),
    };
  }
}

const reconnectSentences: Record<ReconnectReason, string> = {
  SCOPES_CHANGED: 'The connector asks for other scopes than you have allowed.',
  CREDENTIALS_CHANGED: "The connector's client at the provider has changed.",
  ACCESS_REVOKED: 'The provider no longer accepts the access that you allowed.',
  GRANT_EXPIRED: 'The access that you allowed has expired.',
};

/** The user must consent again. */
export class ReconnectRequiredError extends DomainError {
  readonly code = 'RECONNECT_REQUIRED';
  readonly reconnectReason: ReconnectReason;
  readonly missingScopes: string[];

  constructor(reconnectReason: ReconnectReason, missingScopes: string[]) {
    super(reconnectSentences[reconnectReason], {
      remedy: remedy('USER', 'Press Reconnect and allow the access again.'),
    });
    this.reconnectReason = reconnectReason;
    this.missingScopes = missingScopes;
  }
}

/** The provider does not answer, or not sensibly. A connection is kept; a connect flow that ends so has changed nothing. */
export class ProviderUnavailableError extends DomainError {
  readonly code = 'PROVIDER_UNAVAILABLE';
  readonly retryAfterSeconds: number;

  /** `misconfigured`: the provider answers, but refuses the connector's client. `connecting`: a flow ended with this, and left nothing. */
  constructor(retryAfterSeconds: number, { misconfigured = false, connecting = false } = {}) {
    const again = `in ${retryAfterSeconds} seconds.`;
    const left = connecting
      ? `Nothing was connected; press Connect again ${again}`
      : `The connection is kept; try again ${again}`;
    const step = connecting ? `Press Connect again ${again}` : 'Repeat what you did.';
    super(`The provider cannot be used right now. ${left}`, {
      remedy: misconfigured
        ? flowFailures.INVALID_CLIENT.remedy
        : remedy('PROVIDER', 'Wait until the provider answers again.', step),
    });
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** How a connect flow can fail, by code. */
export type FlowFailureCode =
  | 'FLOW_EXPIRED'
  | 'FLOW_MISMATCH'
  | 'CONSENT_DENIED'
  | 'INVALID_CLIENT'
  | 'INVALID_SCOPE'
  | 'REDIRECT_URI_MISMATCH'
  | 'PROVIDER_TESTING_MODE';

const flowFailures: Record<FlowFailureCode, { message: string; remedy: Remedy }> = {
  FLOW_EXPIRED: {
    message: 'This connect link has expired, was used before, or the connector was changed meanwhile.',
    remedy: remedy('USER', 'Go back to the app.', 'Press Connect again.'),
  },
  FLOW_MISMATCH: {
    message: 'This connection was started by somebody else, or on another page. Nothing was connected.',
    remedy: remedy('USER', 'Open the app yourself and sign in.', 'Press Connect there.'),
  },
  CONSENT_DENIED: {
    message: 'The access was not allowed at the provider. Nothing has changed.',
    remedy: remedy('USER', 'Press Connect again when you want to.', 'Choose Allow on the page of the provider.'),
  },
  INVALID_CLIENT: {
    message: "The provider does not accept the connector's client id or client secret.",
    remedy: remedy(
      'ADMIN',
      "Copy client id and client secret again from the provider's settings.",
      'Enter both with editConnector.',
      'Press Connect again.',
    ),
  },
  INVALID_SCOPE: {
    message: "The provider does not accept the connector's scopes.",
    remedy: remedy(
      'ADMIN',
      "Compare the connector's scopes with those that the provider documents and that its OAuth app is allowed.",
      'Correct them with editConnector.',
    ),
  },
  REDIRECT_URI_MISMATCH: {
    message: 'The provider does not accept the redirect URI.',
    remedy: remedy(
      'ADMIN',
      "Register every redirect URI of the connector in the provider's settings, letter by letter.",
    ),
  },
  PROVIDER_TESTING_MODE: {
    message: "The provider does not allow this account to use the connector's OAuth app.",
    remedy: remedy(
      'ADMIN',
      "Add the account to the test users in the provider's settings, or publish the OAuth app.",
      'Press Connect again.',
    ),
  },
};

abstract class FlowError extends DomainError {
  abstract override readonly code: FlowFailureCode;
}
export class FlowExpiredError extends FlowError {
  readonly code = 'FLOW_EXPIRED';
}
export class FlowMismatchError extends FlowError {
  readonly code = 'FLOW_MISMATCH';
}
export class ConsentDeniedError extends FlowError {
  readonly code = 'CONSENT_DENIED';
}
export class InvalidClientError extends FlowError {
  readonly code = 'INVALID_CLIENT';
}
export class InvalidScopeError extends FlowError {
  readonly code = 'INVALID_SCOPE';
}
export class RedirectUriMismatchError extends FlowError {
  readonly code = 'REDIRECT_URI_MISMATCH';
}
export class ProviderTestingModeError extends FlowError {
  readonly code = 'PROVIDER_TESTING_MODE';
}

const flowErrors = {
  FLOW_EXPIRED: FlowExpiredError,
  FLOW_MISMATCH: FlowMismatchError,
  CONSENT_DENIED: ConsentDeniedError,
  INVALID_CLIENT: InvalidClientError,
  INVALID_SCOPE: InvalidScopeError,
  REDIRECT_URI_MISMATCH: RedirectUriMismatchError,
  PROVIDER_TESTING_MODE: ProviderTestingModeError,
} satisfies Record<FlowFailureCode, new (message: string, options: { remedy: Remedy }) => FlowError>;

/** The error for a failed connect flow, with its sentence and its steps. */
export function flowError(code: FlowFailureCode): DomainError {
  const { message, remedy } = flowFailures[code];
  return new flowErrors[code](message, { remedy });
}

/** The provider's answer to an authorization request is longer than any can be: nobody looks into it. */
export function answerTooLarge(): DomainError {
  return new FlowMismatchError("The provider's answer is too large to be one. Nothing was connected.", {
    remedy: remedy('USER', 'Go back to the app.', 'Press Connect again.'),
  });
}
