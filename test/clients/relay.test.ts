import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

const require = createRequire(import.meta.url);
const compiler = require('relay-compiler') as string; // the path of its program

/** Compiles sources against schema.graphql, as an app's build does. Answers what it wrote, or said. */
function compile(sources: Record<string, string>): { status: number | null; written: string[]; said: string } {
  const folder = mkdtempSync(join(tmpdir(), 'relay-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  copyFileSync('schema.graphql', join(folder, 'schema.graphql'));
  const config = {
    src: './src',
    schema: './schema.graphql',
    language: 'typescript',
    artifactDirectory: './generated',
    customScalarTypes: { DateTime: 'string', URL: 'string' },
  };
  writeFileSync(join(folder, 'relay.config.json'), JSON.stringify(config));
  writeFileSync(join(folder, 'package.json'), '{}');
  mkdirSync(join(folder, 'src'));
  mkdirSync(join(folder, 'generated'));
  for (const [name, text] of Object.entries(sources)) writeFileSync(join(folder, 'src', name), text);
  const { status, stdout, stderr } = spawnSync(compiler, [], { cwd: folder, encoding: 'utf8' });
  return { status, written: readdirSync(join(folder, 'generated')).sort(), said: `${stdout}${stderr}` };
}

const list = `
import { graphql } from 'react-relay';
graphql\`
  fragment List_workspace on Workspace
  @refetchable(queryName: "ListPaginationQuery")
  @argumentDefinitions(count: { type: "Int", defaultValue: 10 }, cursor: { type: "String" }) {
    connectors(first: $count, after: $cursor) @connection(key: "List_connectors") {
      edges { node { id ...List_connector } }
    }
  }
\`;
graphql\`
  fragment List_connector on Connector @refetchable(queryName: "ListConnectorRefetchQuery") {
    name
    kind
    problem { code message }
    connections(first: 5, filter: { status: RECONNECT_REQUIRED }) {
      edges { node { status account { email } } }
    }
  }
\`;
graphql\`query ListQuery($id: ID!) { workspace(id: $id) { ...List_workspace } }\`;
graphql\`query ListNodeQuery($id: ID!) { node(id: $id) { __typename ... on Connector { name } } }\`;
graphql\`
  mutation ListAddMutation($input: AddConnectorInput!, $connections: [ID!]!) {
    addConnector(input: $input) {
      ... on AddConnectorPayload {
        connector @appendNode(connections: $connections, edgeTypeName: "WorkspaceConnectorsConnectionEdge") { ...List_connector }
      }
      ... on UserError { code message remedy { steps } }
    }
  }
\`;
graphql\`
  mutation ListDeleteMutation($input: DeleteConnectorInput!, $connections: [ID!]!) {
    deleteConnector(input: $input) {
      ... on DeleteConnectorPayload { deletedConnectorId @deleteEdge(connections: $connections) }
      ... on ConfirmationRequiredError { affectedUsers }
    }
  }
\`;
graphql\`
  subscription ListStatusSubscription($connectorId: ID!) {
    connectionStatus(connectorId: $connectorId) { status connection { id status reconnectReason } }
  }
\`;
`;

test('58. relay-compiler takes schema.graphql: fragments, refetching by node, pages, edges added and deleted, the subscription', () => {
  const { status, written, said } = compile({ 'List.ts': list });
  expect([status, said]).toEqual([0, expect.not.stringContaining('[ERROR]')]);
  expect(written).toEqual([
    'ListAddMutation.graphql.ts',
    'ListConnectorRefetchQuery.graphql.ts',
    'ListDeleteMutation.graphql.ts',
    'ListNodeQuery.graphql.ts',
    'ListPaginationQuery.graphql.ts',
    'ListQuery.graphql.ts',
    'ListStatusSubscription.graphql.ts',
    'List_connector.graphql.ts',
    'List_workspace.graphql.ts',
  ]);
});

test('58. relay-compiler refuses what the schema has not', () => {
  const wrong = "import { graphql } from 'react-relay';\ngraphql`query WrongQuery { viewer { nobody } }`;\n";
  const { status, written, said } = compile({ 'Wrong.ts': wrong });
  expect([status, written]).toEqual([1, []]);
  expect(said).toContain('nobody');
});
