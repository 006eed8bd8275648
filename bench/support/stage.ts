import { randomBytes } from 'node:crypto';
import { SignJWT } from 'jose';
import { type CalendarProvider, startCalendarProvider } from '../../examples/scheduling-app/calendar-provider.ts';
import { type Keyring, parseKeyring } from '../../src/crypto/keyring.ts';
import type { Cleanup } from './cleanup.ts';
import { consentAt } from './consent.ts';
import { createDatabase, createDataDir, type Database } from './database.ts';
import { type Instance, type InstanceOptions, startInstance } from './instance.ts';

/** A connector that really stands at the provider, and the one person who is really connected through it. */
export interface Connector {
  id: string;
  connectedPerson: string;
}

/** Instances of the service, a provider, and an app of a workspace. */
export interface EmbeddedStage {
  provider: CalendarProvider;
  /** The one that admins call. */
  first: Instance;
  instances: Instance[];
  keyring: Keyring;
  /** The secret that the app's identity tokens are signed with. */
  identityKey: Uint8Array;
  appId: string;
  workspaceId: string;
  /** What an admin sends. */
  owner: Record<string, string>;
  /** What the app's backend sends on behalf of a person. */
  backend(person: string): Promise<Record<string, string>>;
  /** What a person's browser sends. */
  browser(person: string): Promise<Record<string, string>>;
  addConnector(): Promise<Connector>;
  /** Leads a person through consent. */
  connect(person: string, connectorId: string): Promise<void>;
  /** Edits a connector's scopes as an admin. */
  editScopes(connector: Connector, scopes: string[]): Promise<void>;
}

/** The same on a database of its own. */
export interface Stage extends EmbeddedStage {
  database: Database;
}

/** Where instances tell each other of changes. */
export const benchRedisUrl = process.env.BENCH_REDIS_URL || 'redis://127.0.0.1:6379';

const publicUrl = 'https://connect.example.com';
const appOrigin = 'https://app.example.com';
export const benchIdentity = { issuer: 'https://identity.example.com', audience: 'bench' };
const accessTokenSeconds = 24 * 3600;

/** What a connector asks for. Two sets, for an edit to go back and forth between. */
export const scopes = {
  usual: ['openid', 'email', 'calendar.read'],
  more: ['openid', 'email', 'calendar.read', 'calendar.write'],
} as const satisfies Record<string, string[]>;

const operations = {
  createWorkspace: `mutation ($input: CreateWorkspaceInput!) { result: createWorkspace(input: $input) {
    ... on CreateWorkspacePayload { workspace { id } } ... on UserError { message } } }`,
  createWorkspaceKey: `mutation ($input: CreateWorkspaceKeyInput!) { result: createWorkspaceKey(input: $input) {
    ... on CreateWorkspaceKeyPayload { workspaceKeySecret } ... on UserError { message } } }`,
  createApp: `mutation ($input: CreateAppInput!) { result: createApp(input: $input) {
    ... on CreateAppPayload { app { id } appKeySecret identitySecret } ... on UserError { message } } }`,
  addConnector: `mutation ($input: AddConnectorInput!) { result: addConnector(input: $input) {
    ... on AddConnectorPayload { connector { id redirectUris { uri } } } ... on UserError { message } } }`,
  editConnector: `mutation ($input: EditConnectorInput!) { result: editConnector(input: $input) {
    ... on EditConnectorPayload { connector { scopes } } ... on UserError { message } } }`,
  connectAppUser: `mutation ($input: ConnectAppUserInput!) { result: connectAppUser(input: $input) {
    ... on ConnectAppUserPayload { redirectUrl } ... on UserError { message } } }`,
  completeConnection: `mutation ($input: CompleteConnectionInput!) { result: completeConnection(input: $input) {
    ... on CompleteConnectionPayload { connection { status } } ... on UserError { message } } }`,
};

/** Sends a mutation that has to succeed. */
async function mutate<T>(
  instance: Instance,
  name: keyof typeof operations,
  input: Record<string, unknown>,
  headers: Record<string, string>,
): Promise<T> {
  const body = JSON.stringify({ query: operations[name], variables: { input } });
  const { data, errors } = await instance.send<{ data?: { result?: T & { message?: string } }; errors?: unknown }>(
    body,
    headers,
  );
  if (!data?.result || data.result.message !== undefined) throw new Error(`${name}: ${JSON.stringify(errors ?? data)}`);
  return data.result;
}

const bearer = (token: string) => `Bearer ${token}`;

interface StageOptions {
  instances: number;
  redisUrl?: string;
  /** Processes of each instance that answer. */
  workers?: number;
  /** Whether instances collect their garbage when they are told to. */
  collects?: boolean;
}

export async function setStage(cleanup: Cleanup, options: StageOptions): Promise<Stage> {
  const database = await createDatabase(cleanup);
  return { ...(await setUp(cleanup, { databaseUrl: database.url }, options)), database };
}

/** One instance on the embedded database, in a folder of its own. */
export function setEmbeddedStage(cleanup: Cleanup): Promise<EmbeddedStage> {
  return setUp(cleanup, { dataDir: createDataDir(cleanup) }, { instances: 1 });
}

async function setUp(
  cleanup: Cleanup,
  store: Pick<InstanceOptions, 'databaseUrl' | 'dataDir'>,
  options: StageOptions,
): Promise<EmbeddedStage> {
  const encryptionKeys = `bench:${randomBytes(32).toString('base64')}`;
  const operatorKey = randomBytes(24).toString('base64url');
  const provider = await startCalendarProvider({ port: 0, accessTokenSeconds });
  cleanup.add(() => provider.stop());
  const settings = {
    ...store,
    publicUrl,
    encryptionKeys,
    operatorKey,
    ...(options.redisUrl && { redisUrl: options.redisUrl }),
    ...(options.workers && { workers: options.workers }),
    ...(options.collects && { collects: true }),
  };
  const first = await startInstance(cleanup, settings);
  const instances = [first];
  while (instances.length < options.instances) instances.push(await startInstance(cleanup, settings));

  const operator = { authorization: bearer(operatorKey) };
  const { workspace } = await mutate<{ workspace: { id: string } }>(
    first,
    'createWorkspace',
    { name: 'Bench', plan: 'BUILDER' },
    operator,
  );
  const { workspaceKeySecret } = await mutate<{ workspaceKeySecret: string }>(
    first,
    'createWorkspaceKey',
    { workspaceId: workspace.id, name: 'Owner', role: 'OWNER' },
    operator,
  );
  const owner = { authorization: bearer(workspaceKeySecret) };
  const created = await mutate<{ app: { id: string }; appKeySecret: string; identitySecret: string }>(
    first,
    'createApp',
    {
      workspaceId: workspace.id,
      name: 'Bench',
      origins: [{ kind: 'LIVE', origin: appOrigin }],
      identity: { secret: benchIdentity },
    },
    owner,
  );
  const identityKey = new TextEncoder().encode(created.identitySecret);
  const identityToken = (person: string) =>
    new SignJWT()
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject(person)
      .setIssuer(benchIdentity.issuer)
      .setAudience(benchIdentity.audience)
      .setExpirationTime('6h')
      .sign(identityKey);

  const stage: EmbeddedStage = {
    provider,
    first,
    instances,
    keyring: parseKeyring(encryptionKeys),
    identityKey,
    appId: created.app.id,
    workspaceId: workspace.id,
    owner,
    backend: async (person) => ({
      authorization: bearer(created.appKeySecret),
      'on-behalf-of': bearer(await identityToken(person)),
    }),
    browser: async (person) => ({ authorization: bearer(await identityToken(person)), 'x-app-id': created.app.id }),
    async addConnector() {
      const { connector } = await mutate<{ connector: { id: string; redirectUris: { uri: string }[] } }>(
        first,
        'addConnector',
        {
          workspaceId: workspace.id,
          providerKey: 'custom',
          name: 'Calendar',
          scopes: scopes.usual,
          custom: { discovery: { issuer: provider.issuer } },
        },
        owner,
      );
      const redirectUris = connector.redirectUris.map(({ uri }) => uri);
      const client = provider.registerClient({ name: 'Bench', redirectUris });
      await mutate(first, 'editConnector', { connectorId: connector.id, ...client }, owner);
      const connectedPerson = 'person-0';
      await stage.connect(connectedPerson, connector.id);
      return { id: connector.id, connectedPerson };
    },
    connect: async (person, connectorId) => connect(first, await stage.browser(person), connectorId),
    async editScopes({ id }, wanted) {
      await mutate(first, 'editConnector', { connectorId: id, scopes: wanted }, owner);
    },
  };
  return stage;
}

/** One person's way through consent. The app's origin is routed to the service, as in production; here by hand. */
async function connect(instance: Instance, headers: Record<string, string>, connectorId: string): Promise<void> {
  const { redirectUrl } = await mutate<{ redirectUrl: string }>(instance, 'connectAppUser', { connectorId }, headers);
  const callback = new URL(await consentAt(redirectUrl));
  const { status, location } = await instance.open(callback.pathname + callback.search);
  const connectCode = location && new URL(location).searchParams.get('connect_code');
  if (!connectCode) throw new Error(`The callback answered ${status} ${location}`);
  await mutate(instance, 'completeConnection', { connectCode }, headers);
}
