import type { FailureFacts } from '../failures/failures.ts';
import { failure } from '../failures/tell.ts';
import { DomainError } from '../lib/domain-error.ts';

/** The connector has no OAuth client yet. */
export class ConnectorIncompleteError extends DomainError {
  readonly code = 'CONNECTOR_INCOMPLETE';

  constructor(facts: FailureFacts = {}) {
    super(...failure('CONNECTOR_INCOMPLETE', facts));
  }
}

/** The connector, or its provider, is switched off in this workspace. */
export class ConnectorDisabledError extends DomainError {
  readonly code = 'CONNECTOR_DISABLED';

  constructor(facts: FailureFacts = {}) {
    super(...failure('CONNECTOR_DISABLED', facts));
  }
}
