import { builder } from './builder.ts';
import './errors.ts';
import { noteOutcomes } from './operation.ts';
import './types/viewer.ts';
import './types/workspace.ts';
import './types/availability.ts';
import './types/app.ts';
import './types/provider.ts';
import './types/connector.ts';
import './types/connector-check.ts';
import './types/operator-client.ts';
import './types/connection.ts';
import './types/connection-list.ts';
import './types/shared-account.ts';
import './types/deleted-connector.ts';
import './types/revoke-all.ts';
import './types/audit.ts';

builder.queryType({ description: 'What can be read.' });
builder.mutationType({
  description: 'What can be done. Each answers a union of its payload and the errors to expect.',
});
builder.subscriptionType({ description: 'What can be watched, over WebSocket (graphql-transport-ws) or SSE.' });

/** The whole API. Printed to schema.graphql. */
export const schema = noteOutcomes(builder.toSchema());
