import { randomUUID } from 'node:crypto';
import {
  type GraphQLInputType,
  getNamedType,
  getNullableType,
  type GraphQLOutputType,
  isAbstractType,
  isInputObjectType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
} from 'graphql';
import { schema } from '../../src/graphql/schema.ts';
import { createTestApp, createWorkspace, field, type GraphqlAnswer, type Service } from './harness.ts';
import { setOperatorClient } from './operator-client.ts';

type Variables = Record<string, unknown>;
type Headers = Record<string, string>;

/** `Query.app`, `Mutation.addConnector` …: every way into the API. */
export const rootFields: string[] = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()]
  .flatMap((type) => type ?? [])
  .flatMap((type) => Object.keys(type.getFields()).map((name) => `${type.name}.${name}`));

/** Every type that has an id. */
export const nodeTypes: string[] = Object.values(schema.getTypeMap())
  .filter(isObjectType)
  .filter((type) => type.getInterfaces().some(({ name }) => name === 'Node'))
  .map(({ name }) => name);

function rootField(path: string) {
  const [typeName = '', name = ''] = path.split('.');
  const type = schema.getType(typeName);
  const found = isObjectType(type) ? type.getFields()[name] : undefined;
  if (!found) throw new Error(`the schema has no ${path}`);
  return { name, operation: typeName.toLowerCase(), field: found };
}

/** All that can be read without arguments, a few steps deep. What members of a union call alike and is of several types has an alias. */
function selection(
  outputType: GraphQLOutputType,
  depth: number,
  aliases: (field: string) => string = () => '',
): string {
  const type = getNamedType(outputType);
  if (isLeafType(type)) return '';
  if (isAbstractType(type)) {
    const possible = schema.getPossibleTypes(type);
    const typesOf = (field: string) =>
      new Set(possible.flatMap((member) => String(member.getFields()[field]?.type ?? '') || []));
    const members = possible.map(
      (member) =>
        `... on ${member.name} ${selection(member, depth, (field) => (typesOf(field).size > 1 ? `${member.name}_${field}: ` : ''))}`,
    );
    return `{ __typename ${members.join(' ')} }`;
  }
  const fields = Object.values(type.getFields())
    .filter((own) => own.args.length === 0 && (isLeafType(getNamedType(own.type)) || depth > 0))
    .map((own) => `${aliases(own.name)}${own.name} ${selection(own.type, depth - 1)}`);
  return `{ __typename ${fields.join(' ')} }`;
}

const documents = new Map<string, string>();

/** The operation that calls one root field and reads all it answers. */
function documentFor(path: string): string {
  const known = documents.get(path);
  if (known !== undefined) return known;
  const { name, operation, field: root } = rootField(path);
  const declared = root.args.map((arg) => `$${arg.name}: ${String(arg.type)}`).join(', ');
  const passed = root.args.map((arg) => `${arg.name}: $${arg.name}`).join(', ');
  const text = `${operation} ${declared && `(${declared})`} { ${name} ${passed && `(${passed})`} ${selection(root.type, 2)} }`;
  documents.set(path, text);
  return text;
}

/** Calls a root field. Of a subscription it answers the first event. */
export async function call(
  service: Service,
  path: string,
  variables: Variables,
  headers: Headers,
): Promise<GraphqlAnswer> {
  if (!path.startsWith('Subscription.')) return service.graphql(documentFor(path), variables, headers);
  const response = await service.app.fetch(
    new Request(`${service.config.publicUrl}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream', ...headers },
      body: JSON.stringify({ query: documentFor(path), variables }),
    }),
  );
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (let turn = await reader?.read(); turn && !turn.done; turn = await reader?.read()) {
    text += turn.value;
    const event = /^data: (.+)$/m.exec(text)?.[1];
    if (event === undefined) continue;
    await reader?.cancel();
    const { data, errors } = JSON.parse(event) as Partial<GraphqlAnswer>;
    return { status: response.status, headers: response.headers, data: data ?? null, errors: errors ?? [] };
  }
  throw new Error(`no event: ${text}`);
}

/** What an answer comes to, in a word: an error's code, `null`, a status, or `ok`. */
export function outcomeOf(path: string, answer: GraphqlAnswer): string {
  const value = answer.data?.[path.split('.')[1] ?? ''];
  const [error] = answer.errors;
  if (value === null || value === undefined) {
    return error ? `${(error.extensions?.code as string | undefined) ?? error.message}` : 'null';
  }
  if (error) return `a value and an error: ${error.message}`;
  const { __typename = '', code, status } = value as { __typename?: string; code?: string; status?: string };
  if (__typename.endsWith('Error')) return String(code);
  return __typename === 'ConnectionStatusEvent' ? String(status) : 'ok';
}

/** A leaf among the values of a call: where it stands, and what the schema wants there. */
export interface Leaf {
  path: (string | number)[];
  typeName: string;
  /** Whether the schema lets it be null. */
  nullable: boolean;
  value: unknown;
}

/** The leaves of what is sent to a root field. */
export function leavesOf(path: string, variables: Variables): Leaf[] {
  const walk = (inputType: GraphQLInputType, value: unknown, at: (string | number)[]): Leaf[] => {
    const type = getNullableType(inputType);
    if (value === undefined || value === null) return [];
    if (isListType(type)) return (value as unknown[]).flatMap((item, index) => walk(type.ofType, item, [...at, index]));
    if (!isInputObjectType(type))
      return [{ path: at, typeName: getNamedType(type).name, nullable: !isNonNullType(inputType), value }];
    return Object.values(type.getFields()).flatMap((own) =>
      walk(own.type, (value as Variables)[own.name], [...at, own.name]),
    );
  };
  return rootField(path).field.args.flatMap((arg) => walk(arg.type, variables[arg.name], [arg.name]));
}

/** The names of all arguments and input fields that a root field takes, however deep. */
export function inputsOf(path: string): string[] {
  const seen = new Set<string>();
  const walk = (inputType: GraphQLInputType): void => {
    const type = getNamedType(inputType);
    if (!isInputObjectType(type)) return;
    for (const own of Object.values(type.getFields())) {
      if (seen.has(`${type.name}.${own.name}`)) continue;
      seen.add(`${type.name}.${own.name}`);
      walk(own.type);
    }
  };
  for (const arg of rootField(path).field.args) {
    seen.add(`${path}.${arg.name}`);
    walk(arg.type);
  }
  return [...seen];
}

/** The names of the arguments and input fields that are given values. */
export function inputsGiven(path: string, variables: Variables): string[] {
  const walk = (inputType: GraphQLInputType, value: unknown): string[] => {
    const type = getNullableType(inputType);
    if (isListType(type)) return (value as unknown[]).flatMap((item) => walk(type.ofType, item));
    if (!isInputObjectType(type)) return [];
    return Object.entries(value as Variables).flatMap(([name, own]) => {
      const inner = type.getFields()[name];
      return inner ? [`${type.name}.${name}`, ...walk(inner.type, own)] : [];
    });
  };
  return rootField(path).field.args.flatMap((arg) =>
    variables[arg.name] === undefined ? [] : [`${path}.${arg.name}`, ...walk(arg.type, variables[arg.name])],
  );
}

/** The same values with one leaf replaced. */
export function withLeaf(variables: Variables, path: (string | number)[], value: unknown): Variables {
  const copy = structuredClone(variables);
  const last = path.at(-1);
  const parent = path.slice(0, -1).reduce<unknown>((at, key) => (at as Record<string | number, unknown>)[key], copy);
  if (last !== undefined) (parent as Record<string | number, unknown>)[last] = value;
  return copy;
}

const identity = { secret: { issuer: 'https://identity.example.com', audience: 'audience' } };
const custom = {
  endpoints: {
    authorizationUrl: 'https://provider.example.com/authorize',
    tokenUrl: 'https://provider.example.com/token',
    revocationUrl: 'https://provider.example.com/revoke',
    userinfoUrl: 'https://provider.example.com/me',
    scopeSeparator: ' ',
    clientAuthentication: 'CLIENT_SECRET_POST',
    extraAuthorizationParams: [{ name: 'prompt', value: 'consent' }],
  },
};
const silentEndpoints = { authorizationUrl: 'http://127.0.0.1:9/authorize', tokenUrl: 'http://127.0.0.1:9/token' };
const newOrigin = () => ({ kind: 'CUSTOM', origin: `https://h${randomUUID()}.example.com` });

const editOf = (connectorId: string) => ({
  connectorId,
  name: 'Connector',
  clientId: 'id',
  clientSecret: 'secret',
  scopes: ['read'],
  connectionConfig: [],
  custom,
});

/** A workspace with one of everything, and makers of more that a test may use up. */
export interface Place {
  workspace: { id: string; ownerKey: string; owner: Headers };
  app: Awaited<ReturnType<typeof createTestApp>>;
  otherApp: Awaited<ReturnType<typeof createTestApp>>;
  /** Complete, of the catalogue: connecting starts without any request to the provider. */
  connectorId: string;
  /** The same, of kind SHARED. */
  sharedConnectorId: string;
  workspaceKeyId: string;
  appKeyId: string;
  memberId: string;
  memberSubject: string;
  fresh: {
    app(): Promise<string>;
    connector(): Promise<string>;
    customConnector(): Promise<string>;
    /** Its provider would be on this machine, and is not there. */
    silentConnector(): Promise<string>;
    appKey(): Promise<string>;
    workspaceKey(): Promise<string>;
    member(): Promise<string>;
    /** The provider that the operator has given a client at. */
    operatorClient(): Promise<string>;
  };
}

export async function createPlace(service: Service): Promise<Place> {
  const workspace = await createWorkspace(service, 'ENTERPRISE');
  const host = () => `https://h${randomUUID()}.example.com`;
  const app = await createTestApp(service, workspace, [{ kind: 'LIVE', origin: host() }]);
  const otherApp = await createTestApp(service, workspace, [{ kind: 'LIVE', origin: host() }]);
  const run = async <T>(name: string, type: string, select: string, input: Variables): Promise<T> =>
    field<T>(
      await service.graphql(
        `mutation ($input: ${type}Input!) { ${name}(input: $input) { __typename ... on ${type}Payload { ${select} } } }`,
        { input },
        workspace.owner,
      ),
      name,
    );
  const workspaceId = workspace.id;
  const addConnector = async (input: Variables) =>
    (
      await run<{ connector: { id: string } }>('addConnector', 'AddConnector', 'connector { id }', {
        workspaceId,
        name: 'Connector',
        clientId: 'id',
        clientSecret: 'secret',
        scopes: ['repo'],
        ...input,
      })
    ).connector.id;
  const fresh: Place['fresh'] = {
    app: async () => (await createTestApp(service, workspace, [{ kind: 'LIVE', origin: host() }])).id,
    connector: () => addConnector({ providerKey: 'github' }),
    customConnector: () => addConnector({ providerKey: 'custom', custom }),
    silentConnector: () => addConnector({ providerKey: 'custom', custom: { endpoints: silentEndpoints } }),
    async appKey() {
      const input = { appId: app.id };
      return (await run<{ appKey: { id: string } }>('createAppKey', 'CreateAppKey', 'appKey { id }', input)).appKey.id;
    },
    async workspaceKey() {
      const input = { workspaceId, name: 'Key', role: 'VIEWER' };
      const select = 'workspaceKey { id }';
      return (await run<{ workspaceKey: { id: string } }>('createWorkspaceKey', 'CreateWorkspaceKey', select, input))
        .workspaceKey.id;
    },
    async member() {
      const subject = `subject-${randomUUID()}`;
      await run('setWorkspaceMember', 'SetWorkspaceMember', 'member { id }', { workspaceId, subject, role: 'VIEWER' });
      return subject;
    },
    async operatorClient() {
      await setOperatorClient(service, { providerKey: 'hubspot', clientId: 'id', clientSecret: 'secret' });
      return 'hubspot';
    },
  };
  const memberSubject = await fresh.member();
  const members = await service.graphql(
    `query ($id: ID!) { workspace(id: $id) { members { edges { node { id } } } } }`,
    { id: workspaceId },
    workspace.owner,
  );
  const { edges } = field<{ members: { edges: { node: { id: string } }[] } }>(members, 'workspace').members;
  return {
    workspace,
    app,
    otherApp,
    connectorId: await fresh.connector(),
    sharedConnectorId: await addConnector({ providerKey: 'github', kind: 'SHARED' }),
    workspaceKeyId: await fresh.workspaceKey(),
    appKeyId: await fresh.appKey(),
    memberId: edges[0]?.node.id ?? '',
    memberSubject,
    fresh,
  };
}

/** Who can make a call succeed. */
export type RightCaller = 'operator' | 'owner' | 'backend with user';

/**
 * One call of every root field, with every argument given: who may make it, and with what. What the call uses up is made for it.
 * A root field that is missing here fails the tests that go through all of them.
 */
export const calls: Record<string, { by: RightCaller; variables: (place: Place) => Variables | Promise<Variables> }> = {
  'Query.viewer': { by: 'owner', variables: () => ({}) },
  'Query.node': { by: 'owner', variables: ({ connectorId }) => ({ id: connectorId }) },
  'Query.workspace': { by: 'owner', variables: ({ workspace }) => ({ id: workspace.id }) },
  'Query.workspaces': {
    by: 'owner',
    variables: () => ({ first: 100, filter: { search: 'work', plan: 'ENTERPRISE' } }),
  },
  'Query.app': { by: 'owner', variables: ({ app }) => ({ id: app.id }) },
  'Query.connector': { by: 'owner', variables: ({ connectorId }) => ({ id: connectorId }) },
  'Query.previewConnectorEdit': {
    by: 'owner',
    variables: async ({ fresh }) => ({ input: editOf(await fresh.customConnector()) }),
  },
  'Query.availableConnectors': { by: 'backend with user', variables: () => ({}) },
  'Query.providers': { by: 'owner', variables: () => ({ search: 'calendar' }) },
  'Query.operatorClients': { by: 'operator', variables: () => ({}) },
  'Query.serviceAudit': {
    by: 'operator',
    variables: () => ({
      first: 10,
      filter: {
        acts: ['OPERATOR_CLIENT_SET'],
        actor: 'somebody',
        outcome: 'OK',
        since: '2026-01-01T00:00:00Z',
        until: '2036-01-01T00:00:00Z',
      },
    }),
  },
  'Query.currentAppUserConnection': {
    by: 'backend with user',
    variables: ({ connectorId }) => ({
      connectorId,
      minValiditySeconds: 0,
      acceptOutdatedScopes: false,
      rejectedTokenFingerprint: '0123456789abcdef',
    }),
  },
  'Query.sharedConnection': {
    by: 'backend with user',
    variables: ({ sharedConnectorId }) => ({
      connectorId: sharedConnectorId,
      minValiditySeconds: 0,
      rejectedTokenFingerprint: '0123456789abcdef',
    }),
  },
  'Mutation.createWorkspace': { by: 'operator', variables: () => ({ input: { name: 'Workspace', plan: 'FREE' } }) },
  'Mutation.setWorkspacePlan': {
    by: 'operator',
    variables: ({ workspace }) => ({ input: { workspaceId: workspace.id, plan: 'ENTERPRISE' } }),
  },
  'Mutation.createWorkspaceKey': {
    by: 'owner',
    variables: ({ workspace }) => ({ input: { workspaceId: workspace.id, name: 'Key', role: 'VIEWER' } }),
  },
  'Mutation.revokeWorkspaceKey': {
    by: 'owner',
    variables: async ({ fresh }) => ({ input: { workspaceKeyId: await fresh.workspaceKey() } }),
  },
  'Mutation.setWorkspaceMember': {
    by: 'owner',
    variables: ({ workspace, memberSubject }) => ({
      input: { workspaceId: workspace.id, subject: memberSubject, role: 'VIEWER' },
    }),
  },
  'Mutation.removeWorkspaceMember': {
    by: 'owner',
    variables: async ({ workspace, fresh }) => ({
      input: { workspaceId: workspace.id, subject: await fresh.member() },
    }),
  },
  'Mutation.createApp': {
    by: 'owner',
    variables: ({ workspace }) => ({
      input: { workspaceId: workspace.id, name: 'App', origins: [newOrigin()], identity },
    }),
  },
  'Mutation.editApp': {
    by: 'owner',
    variables: async ({ fresh }) => ({
      input: { appId: await fresh.app(), name: 'App', origins: [newOrigin()], identity },
    }),
  },
  'Mutation.deleteApp': {
    by: 'owner',
    variables: async ({ fresh }) => ({ input: { appId: await fresh.app(), confirm: true } }),
  },
  'Mutation.createAppKey': { by: 'owner', variables: ({ app }) => ({ input: { appId: app.id } }) },
  'Mutation.revokeAppKey': {
    by: 'owner',
    variables: async ({ fresh }) => ({ input: { appKeyId: await fresh.appKey() } }),
  },
  'Mutation.addConnector': {
    by: 'owner',
    variables: ({ workspace }) => ({
      input: {
        workspaceId: workspace.id,
        providerKey: 'custom',
        kind: 'APP_USER',
        name: 'Connector',
        clientId: 'id',
        clientSecret: 'secret',
        scopes: ['read'],
        connectionConfig: [],
        custom,
      },
    }),
  },
  'Mutation.editConnector': {
    by: 'owner',
    variables: async ({ fresh }) => ({ input: editOf(await fresh.customConnector()) }),
  },
  'Mutation.checkConnector': {
    by: 'owner',
    variables: async ({ fresh }) => ({ input: { connectorId: await fresh.silentConnector() } }),
  },
  'Mutation.deleteConnector': {
    by: 'owner',
    variables: async ({ fresh }) => ({ input: { connectorId: await fresh.connector(), confirm: true } }),
  },
  'Mutation.revokeAllConnections': {
    by: 'owner',
    variables: async ({ workspace, fresh }) => ({
      input: { workspaceId: workspace.id, connectorId: await fresh.connector(), confirm: true },
    }),
  },
  'Mutation.setProviderAvailability': {
    by: 'owner',
    variables: ({ workspace }) => ({
      // slack: nothing of these places hangs on it
      input: { workspaceId: workspace.id, providerKey: 'slack', kind: 'SHARED', available: false, confirm: true },
    }),
  },
  'Mutation.setOperatorClient': {
    by: 'operator',
    variables: () => ({
      input: { providerKey: 'linkedin', clientId: 'id', clientSecret: 'secret', connectionConfig: [], confirm: true },
    }),
  },
  'Mutation.removeOperatorClient': {
    by: 'operator',
    variables: async ({ fresh }) => ({ input: { providerKey: await fresh.operatorClient(), confirm: true } }),
  },
  'Mutation.connectAppUser': {
    by: 'backend with user',
    variables: ({ connectorId, app }) => ({ input: { connectorId, returnTo: '/', origin: app.origin } }),
  },
  'Mutation.completeConnection': { by: 'backend with user', variables: () => ({ input: { connectCode: 'code' } }) },
  'Mutation.disconnectAppUser': {
    by: 'backend with user',
    variables: async ({ fresh }) => ({ input: { connectorId: await fresh.connector() } }),
  },
  'Mutation.connectSharedAccount': {
    by: 'owner',
    variables: ({ sharedConnectorId, app }) => ({
      input: {
        connectorId: sharedConnectorId,
        appId: app.id,
        returnTo: '/',
        origin: app.origin,
        switchAccount: false,
        takeOver: false,
      },
    }),
  },
  'Mutation.disconnectSharedAccount': {
    by: 'owner',
    variables: ({ sharedConnectorId, app }) => ({ input: { connectorId: sharedConnectorId, appId: app.id } }),
  },
  'Subscription.connectionStatus': {
    by: 'backend with user',
    variables: ({ connectorId, app }) => ({ connectorId, appId: app.id }),
  },
};
