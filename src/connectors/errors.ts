import { DomainError, remedy } from '../lib/domain-error.ts';

/** The connector has no OAuth client yet. */
export class ConnectorIncompleteError extends DomainError {
  readonly code = 'CONNECTOR_INCOMPLETE';

  constructor() {
    super('This connector has no client id or client secret yet.', {
      remedy: remedy(
        'ADMIN',
        "Register an OAuth app at the provider, with the connector's redirect URIs.",
        'Enter its client id and client secret with editConnector.',
      ),
    });
  }
}

/** The connector, or its provider, is switched off in this workspace. */
export class ConnectorDisabledError extends DomainError {
  readonly code = 'CONNECTOR_DISABLED';

  constructor() {
    super('This provider is switched off in this workspace. Nothing was deleted.', {
      remedy: remedy('ADMIN', 'Switch the provider on again with setProviderAvailability.'),
    });
  }
}
