/**
 * The least that a subscriber can be: graphql-ws on a bare server, a document that is parsed once for all, and a stream that says one
 * thing and then waits for good.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buildSchema, type DocumentNode, parse } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';

const schema = buildSchema(`
  type Query { idle: Boolean }
  type Subscription { connectionStatus(connectorId: ID!): Status! }
  type Status { status: String! missingScopes: [String!]! }
`);

async function* connectionStatus() {
  yield { connectionStatus: { status: 'CONNECTED', missingScopes: [] } };
  await new Promise(() => {});
}

const rootValue = { connectionStatus };
const documents = new Map<string, DocumentNode>();

function parseOnce(query: string): DocumentNode {
  const document = documents.get(query) ?? parse(query);
  documents.set(query, document);
  return document;
}

const server = createServer();
useServer(
  {
    onSubscribe: (_context, _id, { query, variables }) => {
      return { schema, document: parseOnce(query), variableValues: variables ?? null, rootValue };
    },
  },
  new WebSocketServer({ server }),
);
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  console.log(`Listening on http://127.0.0.1:${port}`);
});
process.once('SIGTERM', () => process.exit(0));
