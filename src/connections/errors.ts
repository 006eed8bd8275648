import { type FailureFacts, type FailureName, failures } from '../failures/failures.ts';
import { failure } from '../failures/tell.ts';
import { DomainError, type Remedy, remedy } from '../lib/domain-error.ts';
import { findProvider } from '../providers/catalogue.ts';
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
  SCOPES_CHANGED: failures.SCOPES_CHANGED.sentence,
  CREDENTIALS_CHANGED: "The connector's client at the provider has changed.",
  ACCESS_REVOKED: 'The access that you allowed has been revoked.',
  GRANT_EXPIRED: 'The access that you allowed has expired.',
};

/** The user must consent again. */
export class ReconnectRequiredError extends DomainError {
  readonly code = 'RECONNECT_REQUIRED';
  readonly reconnectReason: ReconnectReason;
  readonly missingScopes: string[];

  constructor(reconnectReason: ReconnectReason, missingScopes: string[]) {
    const [, { remedy, failure: known }] = failure('SCOPES_CHANGED', { scopes: missingScopes });
    super(
      reconnectSentences[reconnectReason],
      reconnectReason === 'SCOPES_CHANGED' ? { remedy, failure: known } : { remedy: { ...remedy, values: [] } },
    );
    this.reconnectReason = reconnectReason;
    this.missingScopes = missingScopes;
  }
}

/** The provider does not answer, or not sensibly. A connection is kept; a connect flow that ends so has changed nothing. */
export class ProviderUnavailableError extends DomainError {
  readonly code = 'PROVIDER_UNAVAILABLE';
  readonly retryAfterSeconds: number;

  /** `refusal`: the provider answers, but refuses this of the connector's settings: then that is what to mend. */
  constructor(
    retryAfterSeconds: number,
    { refusal = null, ...facts }: FailureFacts & { refusal?: FlowFailure | null } = {},
    name: FailureName = 'PROVIDER_UNAVAILABLE',
  ) {
    const [message, options] = failure(name, { ...facts, retryAfterSeconds });
    super(message, refusal ? { ...options, remedy: failure(refusal, facts)[1].remedy } : options);
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

abstract class FlowError extends DomainError {
  constructor(name: FailureName, facts: FailureFacts = {}) {
    super(...failure(name, facts));
  }
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
  CONNECTOR_CHANGED: FlowExpiredError,
  FLOW_MISMATCH: FlowMismatchError,
  ANSWER_TOO_LARGE: FlowMismatchError,
  CONSENT_DENIED: ConsentDeniedError,
  INVALID_CLIENT: InvalidClientError,
  INVALID_SCOPE: InvalidScopeError,
  REDIRECT_URI_MISMATCH: RedirectUriMismatchError,
  FLOW_NOT_RETURNED: RedirectUriMismatchError,
  PROVIDER_TESTING_MODE: ProviderTestingModeError,
} satisfies Partial<Record<FailureName, new (name: FailureName, facts: FailureFacts) => FlowError>>;

/** How a connect flow can fail. */
export type FlowFailure = keyof typeof flowErrors;

/** The error for a failed connect flow, with its sentence, its steps and what to paste. */
export function flowError(name: FlowFailure, facts: FailureFacts = {}): DomainError {
  return new flowErrors[name](name, facts);
}

/** Whether a name is that of a failed flow. */
export function isFlowFailure(name: string): name is FlowFailure {
  return name in flowErrors;
}

/** What a failed flow leaves behind. */
export function flowFailureOf({ code, failure: known }: DomainError): { failure: string; failureHost: string | null } {
  const facts: FailureFacts | undefined = known?.facts;
  return { failure: known?.name ?? code, failureHost: facts?.host ?? null };
}

/** What there is to compare at the provider about the client that a connector uses, and whose it is. */
export function clientFacts(connector: {
  providerKey: string;
  clientId: string | null;
  operatorClientId: string | null;
}): FailureFacts {
  const clientId = connector.operatorClientId ?? connector.clientId;
  const docsUrl = findProvider(connector.providerKey)?.docsUrl;
  return {
    clientIsOperators: connector.operatorClientId !== null,
    ...(clientId && { clientId }),
    ...(docsUrl && { docsUrl }),
  };
}

/** A host to name, where there is one. */
export function hostFacts(host: string | null): FailureFacts {
  return host === null ? {} : { host };
}

/** The same error with what is known where it happened, so that there is something to paste. Another error stays as it is. */
export function withFacts(error: DomainError, facts: FailureFacts): DomainError {
  const name = error.failure?.name;
  return name !== undefined && isFlowFailure(name) ? flowError(name, facts) : error;
}
