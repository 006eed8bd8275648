import { randomInt } from 'node:crypto';
import DataLoader from 'dataloader';
import type { Db, PreparedStatement, RunPrepared, Tx } from '../db/client.ts';
import { type Connection, type Connector, type Credential, Prisma } from '../db/generated/prisma/client.ts';
import type {
  ConnectBinding,
  ConnectorKind,
  ConnectorRefusal,
  OutboxReceipt,
  Plan,
} from '../db/generated/prisma/enums.ts';

/** What of a workspace decides whether its connectors can be used. */
const standing = { select: { plan: true, switchedOff: { select: { providerKey: true, kind: true } } } } as const;

export type ConnectorInWorkspace = Connector & {
  workspace: { plan: Plan; switchedOff: { providerKey: string; kind: ConnectorKind }[] };
};

/** The columns that reads are made of, beyond what their keys say, as far as they are text or can be told as such. */
const connectorTexts = [
  'providerKey',
  'kind',
  'clientId',
  'clientSecretSealed',
  'operatorClientId',
  'clientFingerprint',
  'scopesFingerprint',
  'grantsRevokedAt',
  'deletedAt',
] as const;
const connectionTexts = [
  'connectorId',
  'appId',
  'clientFingerprint',
  'scopesFingerprint',
  'accountId',
  'accountEmail',
  'accountName',
  'connectedAt',
  'lastRefreshedAt',
  'lastVerifiedAt',
  'refusedAt',
  'grantExpiresAt',
  'disconnectedAt',
] as const;
const credentialTexts = [
  'version',
  'accessTokenSealed',
  'refreshTokenSealed',
  'tokenType',
  'issuedAt',
  'accessTokenExpiresAt',
  'fingerprint',
  'retryAt',
] as const;

/** What of a connector a reader of its connections needs. */
export type ReadConnector = Pick<
  ConnectorInWorkspace,
  'id' | 'workspaceId' | (typeof connectorTexts)[number] | 'custom' | 'scopes' | 'connectionConfig' | 'workspace'
>;
export type ReadConnection = Pick<
  Connection,
  'id' | 'workspaceId' | (typeof connectionTexts)[number] | 'requestedScopes' | 'grantedScopes' | 'connectionConfig'
>;
export type ReadCredential = Pick<Credential, 'connectionId' | (typeof credentialTexts)[number]>;

/** A connector as it stands in its workspace, a connection that may not be there, and its tokens where they were asked for. */
export interface ConnectionRow {
  connector: ReadConnector;
  connection: ReadConnection | null;
  credential: ReadCredential | null;
}

/** Which connection is read, and the app key by which its caller was remembered. */
export interface ReadKey {
  connectorId: string;
  workspaceId: string;
  connectionId: string;
  /** Null where the caller is known already. */
  appKeyId: string | null;
}

/** `appAsOf` is when the app last changed, as far as the app key by `appKeyId` still stands for it. */
export type FoundForRead = ConnectionRow & { appAsOf: Date | null };

/** Reads one connection of a workspace's connector, deleted connectors included, with its tokens. */
export type FindForRead = (key: ReadKey) => Promise<FoundForRead | null>;

/** The same without the tokens. */
export type FindForStatus = (key: Omit<ReadKey, 'appKeyId'>) => Promise<ConnectionRow | null>;

/** An instant in milliseconds, which are written and read in less time than text. */
const asMilliseconds = (instant: string) => `(date_part('epoch', ${instant}) * 1000)::bigint`;

/** Columns as one array of texts: the database writes it in half the time that values of many types take, or names beside them. */
function asTexts(table: string, columns: readonly string[]): string {
  const texts = columns.map((column) => {
    const value = `${table}."${column}"`;
    return `${column.endsWith('At') ? asMilliseconds(value) : value}::text`;
  });
  return `ARRAY[${texts.join(', ')}]`;
}

type Texts<Columns extends readonly string[]> = { [Place in keyof Columns]: string | null };

type ConnectorJson = [
  texts: Texts<typeof connectorTexts>,
  custom: unknown,
  scopes: string[],
  connectionConfig: unknown,
];
const connectorJson = `json_build_array(
  ${asTexts('connector', connectorTexts)}, connector.custom, connector.scopes, connector."connectionConfig")`;

type ConnectionJson = [
  texts: Texts<typeof connectionTexts>,
  requestedScopes: string[],
  grantedScopes: string[],
  connectionConfig: unknown,
  /** Null unless tokens are read; each text is null where the connection has none. */
  credential: Texts<typeof credentialTexts> | null,
];
const connectionJson = (credential: string) => `json_build_array(
  ${asTexts('connection', connectionTexts)}, connection."requestedScopes", connection."grantedScopes",
  connection."connectionConfig", ${credential})`;

/**
 * All that reads must know, their callers' keys included. Those of one batch mostly share a connector and a caller, which are told
 * once. One JSON value for all of a kind, because that is described and parsed in less time than columns and rows; as subselects,
 * so that each seeks its rows by their ids whatever the tables' sizes are thought to be.
 */
const findForReads = (name: string, { tokens }: { tokens: boolean }): PreparedStatement => ({
  name,
  text: `
    SELECT (
      SELECT json_agg((
        SELECT json_build_object(
          'connector', ${connectorJson},
          'plan', workspace.plan,
          'isOff', EXISTS (SELECT FROM provider_availability off WHERE off."workspaceId" = connector."workspaceId"
            AND off."providerKey" = connector."providerKey" AND off.kind = connector.kind),
          'appAsOf', (SELECT ${asMilliseconds('app."updatedAt"')} FROM app_key JOIN app ON app.id = app_key."appId"
            WHERE app_key.id = asked."appKeyId" AND app_key."revokedAt" IS NULL AND app."deletedAt" IS NULL)
        )
        FROM connector JOIN workspace ON workspace.id = connector."workspaceId"
        WHERE connector.id = asked."connectorId" AND connector."workspaceId" = asked."workspaceId"
      ) ORDER BY place)
      FROM ROWS FROM (json_to_recordset($1::json) AS ("connectorId" text, "workspaceId" text, "appKeyId" text))
        WITH ORDINALITY AS asked("connectorId", "workspaceId", "appKeyId", place)
    ) AS connectors, (
      SELECT json_agg((
        SELECT ${connectionJson(tokens ? asTexts('credential', credentialTexts) : 'NULL')}
        FROM connection ${tokens ? 'LEFT JOIN credential ON credential."connectionId" = connection.id' : ''}
        WHERE connection.id = asked.id
      ) ORDER BY place)
      FROM unnest($2::text[]) WITH ORDINALITY AS asked(id, place)
    ) AS connections`,
});

/** What reads find: null where there is none. */
interface FoundJson {
  connectors: ({ connector: ConnectorJson; plan: Plan; isOff: boolean; appAsOf: number | null } | null)[];
  connections: (ConnectionJson | null)[];
}

/** With more, the database would have nothing to do while so many are listened to, and they nothing while it looks for so many. */
export const mostReadsAtOnce = 32;

/** Reads that are asked for at once share round trips; none waits for one that is not there yet. */
export function createFindForRead(runPrepared: RunPrepared): FindForRead {
  // once all sockets that have something to say were listened to
  return createReads(runPrepared, findForReads('token-reads', { tokens: true }), setImmediate);
}

/** How long readings are gathered that follow one change: it may wake thousands of streams at once. */
const gatherMs = 5;

/** Schedules one round trip for all readings of some milliseconds. */
export const gather = (run: () => void) => setTimeout(run, gatherMs);

export function createFindForStatus(runPrepared: RunPrepared): FindForStatus {
  const find = createReads(runPrepared, findForReads('status-reads', { tokens: false }), gather);
  return (key) => find({ ...key, appKeyId: null });
}

function createReads(
  runPrepared: RunPrepared,
  statement: PreparedStatement,
  schedule: (run: () => void) => void,
): FindForRead {
  /** How many are in the batch that is being gathered, and what sends it: once. */
  let waiting = 0;
  let send = () => {};
  const reads = new DataLoader<ReadKey, FoundForRead | null>(
    async (keys) => {
      const firsts = new Map<string, ReadKey>();
      const sharedBy = keys.map((key) => {
        const shared = `${key.connectorId} ${key.workspaceId} ${key.appKeyId}`;
        if (!firsts.has(shared)) firsts.set(shared, key);
        return shared;
      });
      const asked = [...firsts.values()].map(({ connectorId, workspaceId, appKeyId }) => {
        return { connectorId, workspaceId, appKeyId };
      });
      const ids = keys.map(({ connectionId }) => connectionId);
      const [found] = await runPrepared<FoundJson>(statement, [JSON.stringify(asked), ids]);
      const known = new Map(
        [...firsts].map(([shared, key], place) => [shared, connectorForRead(key, found?.connectors[place] ?? null)]),
      );
      return keys.map((key, place) => {
        const connector = known.get(sharedBy[place] ?? '');
        return connector ? connectionForRead(connector, key, found?.connections[place] ?? null) : null;
      });
    },
    {
      cache: false,
      maxBatchSize: mostReadsAtOnce,
      batchScheduleFn(run) {
        waiting = 0;
        send = () => {
          run();
          run = () => {};
        };
        schedule(send);
      },
    },
  );
  return (key) => {
    const found = reads.load(key);
    waiting += 1;
    if (waiting === mostReadsAtOnce) send();
    return found;
  };
}

// Rows are made as a whole: with columns that come one by one it takes V8 a hundred times as long.

function connectorForRead({ connectorId, workspaceId }: ReadKey, found: FoundJson['connectors'][number]) {
  if (!found) return null;
  const [texts, custom, scopes, connectionConfig] = found.connector;
  const [
    providerKey,
    kind,
    clientId,
    clientSecretSealed,
    operatorClientId,
    clientFingerprint,
    scopesFingerprint,
    grantsRevokedAt,
    deletedAt,
  ] = texts;
  const connector = {
    id: connectorId,
    workspaceId,
    providerKey,
    kind,
    clientId,
    clientSecretSealed,
    operatorClientId,
    clientFingerprint,
    scopesFingerprint,
    grantsRevokedAt: instantOf(grantsRevokedAt),
    deletedAt: instantOf(deletedAt),
    custom,
    scopes,
    connectionConfig,
    workspace: { plan: found.plan, switchedOff: found.isOff ? [{ providerKey, kind }] : [] },
  } as ReadConnector;
  return { connector, appAsOf: instantOf(found.appAsOf) };
}

function connectionForRead(
  { connector, appAsOf }: Pick<FoundForRead, 'connector' | 'appAsOf'>,
  { connectorId, workspaceId, connectionId }: ReadKey,
  found: ConnectionJson | null,
): FoundForRead {
  // one of another connector is none
  if (found?.[0][0] !== connectorId) return { connector, appAsOf, connection: null, credential: null };
  const [texts, requestedScopes, grantedScopes, connectionConfig, credential] = found;
  const [
    ,
    appId,
    clientFingerprint,
    scopesFingerprint,
    accountId,
    accountEmail,
    accountName,
    connectedAt,
    lastRefreshedAt,
    lastVerifiedAt,
    refusedAt,
    grantExpiresAt,
    disconnectedAt,
  ] = texts;
  const connection = {
    id: connectionId,
    workspaceId,
    connectorId,
    appId,
    clientFingerprint,
    scopesFingerprint,
    requestedScopes,
    grantedScopes,
    accountId,
    accountEmail,
    accountName,
    connectionConfig,
    connectedAt: instantOf(connectedAt),
    lastRefreshedAt: instantOf(lastRefreshedAt),
    lastVerifiedAt: instantOf(lastVerifiedAt),
    refusedAt: instantOf(refusedAt),
    grantExpiresAt: instantOf(grantExpiresAt),
    disconnectedAt: instantOf(disconnectedAt),
  } as ReadConnection;
  return { connector, appAsOf, connection, credential: credentialForRead(connectionId, credential) };
}

function credentialForRead(connectionId: string, texts: ConnectionJson[4]): ReadCredential | null {
  if (!texts?.[0]) return null;
  const [
    version,
    accessTokenSealed,
    refreshTokenSealed,
    tokenType,
    issuedAt,
    accessTokenExpiresAt,
    fingerprint,
    retryAt,
  ] = texts;
  return {
    connectionId,
    version: Number(version),
    accessTokenSealed,
    refreshTokenSealed,
    tokenType,
    issuedAt: instantOf(issuedAt),
    accessTokenExpiresAt: instantOf(accessTokenExpiresAt),
    fingerprint,
    retryAt: instantOf(retryAt),
  } as ReadCredential;
}

const instantOf = (milliseconds: string | number | null) =>
  milliseconds === null ? null : new Date(Number(milliseconds));

/** Reads connectors of the given workspaces (null: of all), deleted ones included. */
export function findConnectors(db: Db, ids: string[], workspaceIds: string[] | null) {
  return db.connector.findMany({
    where: { id: { in: ids }, ...(workspaceIds && { workspaceId: { in: workspaceIds } }) },
    include: { workspace: standing },
  });
}

/** Those of apps that still are. */
export function findConnections(db: Db, ids: string[]) {
  return db.connection.findMany({ where: { id: { in: ids }, app: { deletedAt: null } } });
}

/** The connectors of a provider through which an app shares an account, the oldest first. */
export async function findSharedConnectorIds(
  db: Db,
  app: { id: string; workspaceId: string },
  providerKey: string,
): Promise<string[]> {
  const rows = await db.connector.findMany({
    where: {
      workspaceId: app.workspaceId,
      providerKey,
      kind: 'SHARED',
      deletedAt: null,
      connections: { some: { appId: app.id, userId: null, disconnectedAt: null } },
    },
    select: { id: true },
    orderBy: { createdAt: 'asc' },
  });
  return rows.map(({ id }) => id);
}

/** Whom a list of connections holds, and which part of it. Cursors are ids; `descending` reads it from its end. */
export interface ConnectionPage {
  status: 'NOT_CONNECTED' | 'CONNECTED' | 'RECONNECT_REQUIRED' | null;
  appId: string | null;
  after: string | null;
  before: string | null;
  limit: number;
  descending: boolean;
}

/** isRevoked as a condition: true or false, also where nothing was ever revoked. */
const isRevoked = Prisma.sql`(connector."grantsRevokedAt" IS NOT NULL
  AND connection."connectedAt" <= connector."grantsRevokedAt")`;

/** The statuses of deriveStatus as conditions, for connectors that can be used: the same facts, compared where the rows are. */
function statusIs(status: ConnectionPage['status'], now: Date): Prisma.Sql {
  const mustReconnect = Prisma.sql`(connection."refusedAt" IS NOT NULL OR ${isRevoked}
    OR connection."clientFingerprint" <> connector."clientFingerprint"
    OR (connection."grantExpiresAt" IS NOT NULL AND connection."grantExpiresAt" <= ${now})
    OR connection."scopesFingerprint" <> connector."scopesFingerprint")`;
  switch (status) {
    case null:
      return Prisma.sql`TRUE`;
    case 'NOT_CONNECTED':
      return Prisma.sql`connection."disconnectedAt" IS NOT NULL`;
    case 'CONNECTED':
      return Prisma.sql`connection."disconnectedAt" IS NULL AND NOT ${mustReconnect}`;
    case 'RECONNECT_REQUIRED':
      return Prisma.sql`connection."disconnectedAt" IS NULL AND ${mustReconnect}`;
  }
}

/** The same page of the connections of each connector, by id, in one statement. */
export function findConnectionIds(db: Db, connectorIds: readonly string[], page: ConnectionPage, now: Date) {
  const order = page.descending ? Prisma.sql`DESC` : Prisma.sql`ASC`;
  const conditions = [
    Prisma.sql`connection."connectorId" = connector.id`,
    Prisma.sql`app."deletedAt" IS NULL`,
    statusIs(page.status, now),
    ...(page.appId === null ? [] : [Prisma.sql`connection."appId" = ${page.appId}`]),
    ...(page.after === null ? [] : [Prisma.sql`connection.id > ${page.after}`]),
    ...(page.before === null ? [] : [Prisma.sql`connection.id < ${page.before}`]),
  ];
  return db.$queryRaw<{ connectorId: string; id: string }[]>`
    SELECT connector.id AS "connectorId", page.id
    FROM connector CROSS JOIN LATERAL (
      SELECT connection.id FROM connection JOIN app ON app.id = connection."appId"
      WHERE ${Prisma.join(conditions, ' AND ')}
      ORDER BY connection.id ${order} LIMIT ${page.limit}) page
    WHERE connector.id = ANY(${connectorIds}) ORDER BY page.id ${order}`;
}

/** The living apps of the given workspaces. */
export function findAppIds(db: Db, workspaceIds: string[]) {
  return db.app.findMany({
    where: { workspaceId: { in: workspaceIds }, deletedAt: null },
    select: { id: true, workspaceId: true },
  });
}

// --- connect flows ---

export interface NewFlow {
  id: string;
  workspaceId: string;
  connectorId: string;
  appId: string;
  userId: string | null;
  startedBy: string | null;
  takeOver: boolean;
  stateHash: string;
  binding: ConnectBinding;
  cookieHash: string | null;
  redirectUri: string;
  returnTo: string | null;
  codeVerifierSealed: string;
  nonce: string | null;
  clientFingerprint: string;
  scopesFingerprint: string;
  requestedScopes: string[];
  createdAt: Date;
  expiresAt: Date;
}

export function insertFlow(db: Db, flow: NewFlow) {
  return db.pendingFlow.create({ data: flow });
}

/** How many flows of one person wait for their callback, and when the first of them ends. */
export async function countOpenFlows(
  db: Db,
  whose: { appId: string; userId: string | null; startedBy: string | null },
  now: Date,
): Promise<{ count: number; oldest: Date | null }> {
  const { _count: count, _min: first } = await db.pendingFlow.aggregate({
    where: { ...whose, usedAt: null, failure: null, expiresAt: { gt: now } },
    _count: true,
    _min: { expiresAt: true },
  });
  return { count, oldest: first.expiresAt };
}

/** Uses a state up: of any number of callbacks at once, one gets the flow (RFC 9700 4.7.1). */
export async function useState(db: Db, stateHash: string, now: Date) {
  const [flow] = await db.pendingFlow.updateManyAndReturn({
    where: { stateHash, usedAt: null, expiresAt: { gt: now } },
    data: { usedAt: now },
  });
  return flow ?? null;
}

export function findOpenFlow(db: Db, stateHash: string, now: Date) {
  return db.pendingFlow.findFirst({ where: { stateHash, usedAt: null, expiresAt: { gt: now } } });
}

/** Keeps what a form_post brought until the browser's next GET. The first post counts. */
export async function holdResponse(db: Db, flowId: string, responseSealed: string): Promise<boolean> {
  const { count } = await db.pendingFlow.updateMany({
    where: { id: flowId, usedAt: null, responseSealed: null },
    data: { responseSealed },
  });
  return count === 1;
}

/** Parks an authorization response until the person shows the connect code. */
export function parkResponse(
  db: Db,
  flowId: string,
  parked: { responseSealed: string; connectCodeHash: string; connectCodeExpiresAt: Date },
) {
  return db.pendingFlow.update({ where: { id: flowId }, data: parked });
}

/** Uses a connect code up, whoever shows it. */
export async function useConnectCode(db: Db, connectCodeHash: string, now: Date) {
  const [flow] = await db.pendingFlow.updateManyAndReturn({
    where: { connectCodeHash, connectCodeExpiresAt: { gt: now } },
    data: { connectCodeHash: null },
  });
  return flow ?? null;
}

export function deleteFlow(db: Db | Tx, id: string) {
  return db.pendingFlow.deleteMany({ where: { id } });
}

/** Ends a flow that came to nothing: its state, its code and its answer are gone, and why it failed stays. False where it had ended. */
export async function failFlow(
  db: Db | Tx,
  id: string,
  failure: { failure: string; failureHost: string | null },
  at: Date,
): Promise<boolean> {
  const { count } = await db.pendingFlow.updateMany({
    where: { id, failure: null },
    data: { ...failure, usedAt: at, responseSealed: null, connectCodeHash: null, connectCodeExpiresAt: null },
  });
  return count === 1;
}

/** So long after its end a flow tells why it failed, or that nobody came back. */
const flowKeptMs = 24 * 3_600_000;

/** Deletes flows that can no longer finish: those that failed or never came back a day later. Answers how many. */
export async function deleteExpiredFlows(db: Db, now: Date): Promise<number> {
  const { count } = await db.pendingFlow.deleteMany({
    where: {
      expiresAt: { lt: now },
      AND: [
        { OR: [{ connectCodeExpiresAt: null }, { connectCodeExpiresAt: { lt: now } }] },
        {
          OR: [
            { usedAt: { not: null }, failure: null },
            { responseSealed: { not: null } },
            { expiresAt: { lt: new Date(now.getTime() - flowKeptMs) } },
          ],
        },
      ],
    },
  });
  return count;
}

/** A flow that has failed or not come back, and what there is to compare at the provider. `failure` null: not come back. */
export interface EndedFlow {
  connectorId: string;
  redirectUri: string;
  requestedScopes: string[];
  createdAt: Date;
  failure: string | null;
  failureHost: string | null;
  clientId: string | null;
  operatorClientId: string | null;
  providerKey: string;
}

const endedFlow = Prisma.sql`
  flow."connectorId", flow."redirectUri", flow."requestedScopes", flow."createdAt", flow.failure, flow."failureHost",
  connector."clientId", connector."operatorClientId", connector."providerKey"
  FROM pending_flow flow JOIN connector ON connector.id = flow."connectorId"`;
const hasEnded = (startedBefore: Date) => Prisma.sql`
  (flow.failure IS NOT NULL
    OR (flow."usedAt" IS NULL AND flow."responseSealed" IS NULL AND flow."createdAt" <= ${startedBefore}))`;

/** The latest flow to each redirect URI of the connectors that failed, or that began before an instant and nobody came back from; if nobody has connected since. */
export function findEndedFlows(db: Db, connectorIds: readonly string[], startedBefore: Date) {
  return db.$queryRaw<EndedFlow[]>`
    SELECT DISTINCT ON (flow."connectorId", flow."redirectUri") ${endedFlow}
    WHERE flow."connectorId" = ANY(${connectorIds}) AND ${hasEnded(startedBefore)}
      AND NOT EXISTS (SELECT FROM connection
        WHERE connection."connectorId" = flow."connectorId" AND connection."connectedAt" > flow."createdAt")
    ORDER BY flow."connectorId", flow."redirectUri", flow."createdAt" DESC`;
}

/** The latest such flow of an app user at each of the connectors, if that user has not connected since. */
export function findEndedFlowsOf(
  db: Db,
  user: { appId: string; userId: string },
  connectorIds: readonly string[],
  startedBefore: Date,
) {
  return db.$queryRaw<EndedFlow[]>`
    SELECT DISTINCT ON (flow."connectorId") ${endedFlow}
    WHERE flow."appId" = ${user.appId} AND flow."userId" = ${user.userId}
      AND flow."connectorId" = ANY(${connectorIds}) AND ${hasEnded(startedBefore)}
      AND NOT EXISTS (SELECT FROM connection WHERE connection."connectorId" = flow."connectorId"
        AND connection."appId" = flow."appId" AND connection."userId" = flow."userId"
        AND connection."connectedAt" > flow."createdAt")
    ORDER BY flow."connectorId", flow."createdAt" DESC`;
}

// --- connections and their tokens ---

export interface NewTokens {
  accessTokenSealed: string;
  refreshTokenSealed: string | null;
  tokenType: string;
  issuedAt: Date;
  accessTokenExpiresAt: Date | null;
  fingerprint: string;
}

/**
 * Shares a connector, deleted or not, with its standing in the workspace until the transaction ends: meanwhile it can be neither
 * edited nor deleted, nor can the plan or what is switched off change. Whoever has an app's row as well took that first: an edit of
 * an app goes on to its workspace's.
 */
export async function shareConnector(
  tx: Tx,
  { connectorId: id, workspaceId }: { connectorId: string; workspaceId: string },
): Promise<ConnectorInWorkspace | null> {
  await tx.$queryRaw`SELECT id FROM workspace WHERE id = ${workspaceId} FOR SHARE`;
  await tx.$queryRaw`SELECT id FROM connector WHERE id = ${id} FOR SHARE`;
  return tx.connector.findUnique({ where: { id, workspaceId }, include: { workspace: standing } });
}

/** Shares an app's row until the transaction ends: it cannot be deleted meanwhile. False where it was. */
export async function shareApp(tx: Db | Tx, id: string): Promise<boolean> {
  const rows = await tx.$queryRaw<unknown[]>`SELECT id FROM app WHERE id = ${id} AND "deletedAt" IS NULL FOR SHARE`;
  return rows.length === 1;
}

/** Whoever writes tokens or their connection locks the connection first: in any other order two of them could wait for each other. */
async function lockConnection(tx: Tx, connectionId: string): Promise<void> {
  await tx.$queryRaw`SELECT id FROM connection WHERE id = ${connectionId} FOR NO KEY UPDATE`;
}

/** Reads a connection and its tokens, and keeps others from changing the tokens until the transaction ends. */
export async function lockWithCredential(tx: Tx, connectionId: string) {
  await lockConnection(tx, connectionId);
  return tx.connection.findUnique({ where: { id: connectionId }, include: { credential: true } });
}

/** Makes whoever names the same thing wait until the transaction ends, also while there is no row that could be locked. */
export async function takeTurn(tx: Tx, name: string): Promise<void> {
  await tx.$queryRaw`SELECT 1 FROM pg_advisory_xact_lock(hashtextextended(${name}, 0))`;
}

/** New tokens in, old ones out. The version moves, so that a refresh of the old tokens that is still under way writes nothing. */
export async function replaceConnection(
  tx: Tx,
  connection: Prisma.ConnectionUncheckedCreateInput & { id: string },
  tokens: NewTokens,
): Promise<void> {
  await tx.connection.upsert({ where: { id: connection.id }, create: connection, update: connection });
  const fresh = { ...tokens, leaseToken: null, leaseUntil: null, attemptedAt: null, failures: 0, retryAt: null };
  await tx.credential.upsert({
    where: { connectionId: connection.id },
    // a version names these tokens for good: a refresh of older ones, from before a disconnect, may still be under way
    create: { ...fresh, connectionId: connection.id, version: randomInt(1, 2 ** 30) },
    update: { ...fresh, version: { increment: 1 } },
  });
}

/** Ends a connection: its tokens, and whose account it was, are gone when this commits. Null where it had ended already. */
export async function endConnection(tx: Tx, connectionId: string, at: Date) {
  const connection = await lockWithCredential(tx, connectionId);
  if (!connection || connection.disconnectedAt) return null;
  await tx.connection.update({
    where: { id: connectionId },
    data: { disconnectedAt: at, ownedBy: null, accountId: null, accountEmail: null, accountName: null },
  });
  await tx.credential.deleteMany({ where: { connectionId } });
  return connection;
}

/**
 * Takes the tokens from a connection that was made until an instant: it is there still, and refused. Null where it has none, or is a
 * newer one.
 */
export async function takeTokens(tx: Tx, connectionId: string, madeUntil: Date, at: Date) {
  const connection = await lockWithCredential(tx, connectionId);
  if (!connection?.credential || connection.connectedAt > madeUntil) return null;
  await tx.connection.update({ where: { id: connectionId }, data: { refusedAt: connection.refusedAt ?? at } });
  await tx.credential.deleteMany({ where: { connectionId } });
  return connection;
}

// --- refreshing ---

/** The credential with what a refresh needs to know about its connection. */
export function findForRefresh(db: Db, connectionId: string) {
  return db.credential.findUnique({
    where: { connectionId },
    include: { connection: { include: { connector: true } } },
  });
}

export interface IdleGrant {
  connectionId: string;
  connectorId: string;
  version: number;
  issuedAt: Date;
}

/** Connections whose refresh token has not been used since an instant, the longest first, that nothing keeps from being refreshed. */
export function findIdleGrants(
  db: Db,
  of: { providerKeys: string[]; unusedSince: Date; after: IdleGrant | null; withoutConnectors: string[] },
  now: Date,
  limit: number,
) {
  const { issuedAt, connectionId } = of.after ?? { issuedAt: new Date(0), connectionId: '' };
  return db.$queryRaw<IdleGrant[]>`
    SELECT credential."connectionId", connection."connectorId", credential.version, credential."issuedAt"
    FROM credential
    JOIN connection ON connection.id = credential."connectionId"
    JOIN connector ON connector.id = connection."connectorId"
    JOIN app ON app.id = connection."appId"
    WHERE credential."issuedAt" <= ${of.unusedSince} AND credential."refreshTokenSealed" IS NOT NULL
      AND (credential."issuedAt", credential."connectionId") > (${issuedAt}, ${connectionId})
      AND (credential."retryAt" IS NULL OR credential."retryAt" <= ${now})
      AND (credential."leaseUntil" IS NULL OR credential."leaseUntil" <= ${now})
      AND connection."refusedAt" IS NULL AND connection."disconnectedAt" IS NULL
      AND (connection."grantExpiresAt" IS NULL OR connection."grantExpiresAt" > ${now})
      AND connection."clientFingerprint" = connector."clientFingerprint"
      AND NOT ${isRevoked}
      AND connector."deletedAt" IS NULL AND connector."providerKey" = ANY(${of.providerKeys})
      AND connector.id <> ALL(${of.withoutConnectors}) AND app."deletedAt" IS NULL
    ORDER BY credential."issuedAt", credential."connectionId" LIMIT ${limit}`;
}

/** Takes the lease of one version of a credential, if it is free (or lapsed) and no back-off runs. Read the row to see who has it. Instants are the database's, so that no instance is ahead of another. */
export async function takeLease(
  db: Db,
  key: { connectionId: string; version: number },
  lease: { leaseToken: string; leaseUntil: Date },
  now: Date,
  abandoned: string | null,
): Promise<void> {
  await db.credential.updateMany({
    where: {
      ...key,
      AND: [
        { OR: [{ leaseUntil: null }, { leaseUntil: { lte: now } }] },
        // a request may be under way: only whoever has seen it abandoned follows it
        {
          OR: [{ leaseToken: null }, { attemptedAt: null }, ...(abandoned === null ? [] : [{ leaseToken: abandoned }])],
        },
        { OR: [{ retryAt: null }, { retryAt: { lte: now } }] },
      ],
    },
    data: lease,
  });
}

/** False where somebody else has the lease by now. */
export async function extendLease(
  db: Db,
  connectionId: string,
  leaseToken: string,
  leaseUntil: Date,
): Promise<boolean> {
  const { count } = await db.credential.updateMany({ where: { connectionId, leaseToken }, data: { leaseUntil } });
  return count === 1;
}

/**
 * Records that a refresh request is about to leave, and that the lease runs from now: if nothing clears it, the answer was lost.
 * False where the lease has lapsed meanwhile, whoever has it now: then no request may leave.
 */
export async function recordAttempt(
  db: Db,
  key: { connectionId: string; leaseToken: string },
  at: Date,
  leaseUntil: Date,
): Promise<boolean> {
  const { count } = await db.credential.updateMany({
    where: { ...key, leaseUntil: { gt: at } },
    data: { attemptedAt: at, leaseUntil },
  });
  return count === 1;
}

/** Writes refreshed tokens, if nobody has written tokens since. */
export async function storeRefreshed(
  tx: Tx,
  key: { connectionId: string; version: number },
  tokens: NewTokens,
  connection: Prisma.ConnectionUncheckedUpdateInput,
): Promise<boolean> {
  await lockConnection(tx, key.connectionId);
  const { count } = await tx.credential.updateMany({
    where: key,
    data: {
      ...tokens,
      version: key.version + 1,
      leaseToken: null,
      leaseUntil: null,
      attemptedAt: null,
      failures: 0,
      retryAt: null,
    },
  });
  if (count === 0) return false;
  await tx.connection.update({ where: { id: key.connectionId }, data: connection });
  return true;
}

/** Gives the lease back with what the failed attempt taught. */
export async function releaseLease(
  db: Db | Tx,
  key: { connectionId: string; leaseToken: string },
  outcome: { failures?: number; retryAt?: Date; attemptedAt?: null },
): Promise<void> {
  await db.credential.updateMany({ where: key, data: { ...outcome, leaseToken: null, leaseUntil: null } });
}

/** Records the provider's refusal, if the refused tokens are still the stored ones. */
export async function recordRefusal(
  tx: Tx,
  key: { connectionId: string; version: number },
  at: Date,
): Promise<boolean> {
  await lockConnection(tx, key.connectionId);
  const { count } = await tx.credential.updateMany({
    where: key,
    data: { leaseToken: null, leaseUntil: null, attemptedAt: null },
  });
  if (count === 0) return false;
  await tx.connection.update({ where: { id: key.connectionId }, data: { refusedAt: at } });
  return true;
}

/** Notes what the provider refuses of the connector itself, unless that is known. */
export async function recordConnectorRefusal(
  db: Db,
  { id, clientFingerprint, clientSecretSealed }: Pick<Connector, 'id' | 'clientFingerprint' | 'clientSecretSealed'>,
  refusal: ConnectorRefusal,
  at: Date,
) {
  await db.connector.updateMany({
    // an admin may have corrected meanwhile what was refused
    where: { id, clientFingerprint, clientSecretSealed, OR: [{ refusal: null }, { refusal: { not: refusal } }] },
    data: { refusal, refusedAt: at },
  });
}

export async function clearConnectorRefusal(db: Db, connectorId: string): Promise<void> {
  await db.connector.updateMany({ where: { id: connectorId }, data: { refusal: null, refusedAt: null } });
}

/**
 * Counts a check of a connector, unless that would fill more than `mostMs` from now: null, or until when it is filled. In SQL, so
 * that counting leaves alone when the connector was last changed.
 */
export async function takeCheck(
  db: Db,
  connectorId: string,
  now: Date,
  intervalMs: number,
  mostMs: number,
): Promise<Date | null> {
  const latest = new Date(now.getTime() + mostMs - intervalMs);
  const taken = await db.$executeRaw`
    UPDATE connector
    SET "checksFillUntil" = greatest(coalesce("checksFillUntil", ${now}), ${now}) + ${intervalMs} * interval '1 millisecond'
    WHERE id = ${connectorId} AND coalesce("checksFillUntil", ${now}) <= ${latest}`;
  if (taken > 0) return null;
  const connector = await db.connector.findUnique({ where: { id: connectorId }, select: { checksFillUntil: true } });
  return connector?.checksFillUntil ?? now;
}

export async function recordVerified(db: Db, connectionId: string, at: Date): Promise<void> {
  await db.connection.updateMany({ where: { id: connectionId }, data: { lastVerifiedAt: at } });
}

// --- the outbox ---

export interface NewRevocation {
  id: string;
  workspaceId: string;
  connectorId: string;
  connectionId: string;
  accountId: string | null;
  grantsRevokedAt: Date | null;
  tokensSealed: string;
  /** Null: when the connection ends. */
  dueAt: Date | null;
}

export function insertRevocation(db: Db | Tx, item: NewRevocation) {
  return db.outboxItem.create({ data: { ...item, kind: 'REVOKE_GRANT' } });
}

/** Revocations that waited for a connection to end are due now: all of them, or those of one account. */
export async function releaseHeldRevocations(tx: Tx, connectionId: string, at: Date, accountId?: string | null) {
  await tx.outboxItem.updateMany({
    where: { connectionId, doneAt: null, dueAt: null, ...(accountId !== undefined && { accountId }) },
    data: { dueAt: at, receipt: null },
  });
}

/** What an account has granted an OAuth client, in however many connectors that client is used. */
interface ClientGrant {
  clientFingerprint: string;
  accountId: string;
}

/** Who parks a revocation and who ends a connection to the same account take turns: else the one could miss what the other has not committed. */
function takeAccountTurn(tx: Tx, { clientFingerprint, accountId }: ClientGrant): Promise<void> {
  return takeTurn(tx, `${clientFingerprint} ${accountId}`);
}

/** A connection no longer stands on the account: what was parked because of it is due. If another stands there still, it is parked again. */
export async function releaseParkedRevocations(
  tx: Tx,
  { clientFingerprint, accountId }: { clientFingerprint: string; accountId: string | null },
  at: Date,
): Promise<void> {
  if (accountId === null) return;
  await takeAccountTurn(tx, { clientFingerprint, accountId });
  await tx.$executeRaw`
    UPDATE outbox_item SET "dueAt" = ${at}, receipt = NULL FROM connector
    WHERE connector.id = outbox_item."connectorId" AND connector."clientFingerprint" = ${clientFingerprint}
      AND outbox_item."accountId" = ${accountId} AND outbox_item."doneAt" IS NULL AND outbox_item."dueAt" IS NULL
      AND outbox_item.receipt = 'SKIPPED_SHARED_GRANT'`;
}

/** Lets a revocation wait, with its tokens, while another live connection stands on the same account. False where none does. */
export async function parkWhereAnotherStands(tx: Tx, id: string, grant: ClientGrant): Promise<boolean> {
  await takeAccountTurn(tx, grant);
  if (!(await anotherStandsOn(tx, grant))) return false;
  await tx.outboxItem.updateMany({
    where: { id, doneAt: null },
    data: { dueAt: null, leaseUntil: null, receipt: 'SKIPPED_SHARED_GRANT' },
  });
  return true;
}

/** How many items wait to be done at some time, and since when the first of them has been due. */
export async function outboxBacklog(db: Db): Promise<{ items: number; oldestDueAt: Date | null }> {
  const { _count, _min } = await db.outboxItem.aggregate({
    where: { doneAt: null, dueAt: { not: null } },
    _count: true,
    _min: { dueAt: true },
  });
  return { items: _count, oldestDueAt: _min.dueAt };
}

/** Takes due work for itself until `leaseUntil`. Workers do not wait for each other. */
export async function claimOutbox(db: Db, now: Date, leaseUntil: Date, limit: number) {
  const rows = await db.$queryRaw<{ id: string }[]>`
    UPDATE outbox_item SET "leaseUntil" = ${leaseUntil} WHERE id IN (
      SELECT id FROM outbox_item
      WHERE "doneAt" IS NULL AND "dueAt" <= ${now} AND ("leaseUntil" IS NULL OR "leaseUntil" <= ${now})
      ORDER BY "dueAt" LIMIT ${limit} FOR UPDATE SKIP LOCKED)
    RETURNING id`;
  return db.outboxItem.findMany({ where: { id: { in: rows.map((row) => row.id) } }, orderBy: { dueAt: 'asc' } });
}

/** The next connections whose grants still have to be handed to the outbox: all of what was deleted, or those with tokens that were made until `grantsRevokedAt`. */
export function findConnectionsToEnd(
  db: Db,
  of: { connectorId: string | null; appId: string | null; grantsRevokedAt: Date | null },
  limit: number,
) {
  return db.connection.findMany({
    where: {
      ...(of.connectorId !== null && { connectorId: of.connectorId }),
      ...(of.appId !== null && { appId: of.appId }),
      ...(of.grantsRevokedAt && { connectedAt: { lte: of.grantsRevokedAt }, credential: { isNot: null } }),
      disconnectedAt: null,
    },
    select: { id: true },
    take: limit,
  });
}

/** How many connections of each deleted connector the worker has yet to end. */
export function countConnectionsToEnd(db: Db, connectorIds: readonly string[]) {
  return db.connection.groupBy({
    by: ['connectorId'],
    where: { connectorId: { in: [...connectorIds] }, disconnectedAt: null },
    _count: true,
  });
}

/** How many revocations each connector has, by receipt; null for those under way. */
export function countRevocations(db: Db, connectorIds: readonly string[]) {
  return db.outboxItem.groupBy({
    by: ['connectorId', 'receipt'],
    where: { connectorId: { in: [...connectorIds] }, kind: 'REVOKE_GRANT' },
    _count: true,
  });
}

/** How many connections of each connector were revoked with all others, and have yet to be handed to the outbox. */
export function countRevokedToQueue(db: Db, connectorIds: readonly string[]) {
  return db.$queryRaw<{ connectorId: string; count: number }[]>`
    SELECT connector.id AS "connectorId", count(*)::int AS count
    FROM connector
    JOIN connection ON connection."connectorId" = connector.id
    JOIN credential ON credential."connectionId" = connection.id
    WHERE connector.id = ANY(${connectorIds}) AND ${isRevoked} GROUP BY 1`;
}

/** What became of those handed over, by receipt (null: under way): of the latest time that all were revoked, and what earlier times have left to do. */
export function countRevokedQueued(db: Db, connectorIds: readonly string[]) {
  return db.$queryRaw<{ connectorId: string; receipt: OutboxReceipt | null; count: number }[]>`
    SELECT connector.id AS "connectorId", item.receipt, count(*)::int AS count
    FROM connector JOIN outbox_item item ON item."connectorId" = connector.id
    WHERE connector.id = ANY(${connectorIds}) AND item.kind = 'REVOKE_GRANT'
      AND (item."grantsRevokedAt" = connector."grantsRevokedAt" OR item."grantsRevokedAt" IS NOT NULL AND item."doneAt" IS NULL)
    GROUP BY 1, 2`;
}

/** Which part of a list of revocations, by its ids; `descending` reads it from its end. */
export interface RevocationPage {
  after: string | null;
  before: string | null;
  limit: number;
  descending: boolean;
}

/** The same page of the revocations of each connector, oldest first, in two statements. */
export async function findRevocations(db: Db, connectorIds: readonly string[], page: RevocationPage) {
  const order = page.descending ? Prisma.sql`DESC` : Prisma.sql`ASC`;
  const place = (id: string) => Prisma.sql`(SELECT "createdAt", id FROM outbox_item WHERE id = ${id})`;
  const conditions = [
    Prisma.sql`item."connectorId" = connector.id`,
    Prisma.sql`item.kind = 'REVOKE_GRANT'`,
    ...(page.after === null ? [] : [Prisma.sql`(item."createdAt", item.id) > ${place(page.after)}`]),
    ...(page.before === null ? [] : [Prisma.sql`(item."createdAt", item.id) < ${place(page.before)}`]),
  ];
  const rows = await db.$queryRaw<{ id: string }[]>`
    SELECT page.id FROM unnest(${connectorIds}::text[]) AS connector(id) CROSS JOIN LATERAL (
      SELECT item.id FROM outbox_item item WHERE ${Prisma.join(conditions, ' AND ')}
      ORDER BY item."createdAt" ${order}, item.id ${order} LIMIT ${page.limit}) page`;
  const direction = page.descending ? 'desc' : 'asc';
  return db.outboxItem.findMany({
    where: { id: { in: rows.map(({ id }) => id) } },
    orderBy: [{ createdAt: direction }, { id: direction }],
  });
}

export function findConnectorOfGrant(db: Db, connectorId: string) {
  return db.connector.findUnique({ where: { id: connectorId } });
}

/** Whether a live connection stands on the account for the same client, at whichever connector. */
async function anotherStandsOn(tx: Tx, { accountId, clientFingerprint }: ClientGrant): Promise<boolean> {
  const others = await tx.$queryRaw<unknown[]>`
    SELECT connection.id FROM connection
    JOIN connector ON connector.id = connection."connectorId"
    JOIN app ON app.id = connection."appId"
    WHERE connection."accountId" = ${accountId} AND connection."clientFingerprint" = ${clientFingerprint}
      AND connection."disconnectedAt" IS NULL AND connection."refusedAt" IS NULL AND NOT ${isRevoked}
      AND connector."deletedAt" IS NULL AND app."deletedAt" IS NULL LIMIT 1`;
  return others.length > 0;
}

/** Ends a piece of work: the tokens go with it. */
export function finishOutboxItem(
  db: Db | Tx,
  id: string,
  at: Date,
  receipt: 'REVOKED' | 'UNSUPPORTED' | 'GAVE_UP' | null,
) {
  // done stays done, also for a worker that was stopped for longer than its claim
  return db.outboxItem.updateMany({
    where: { id, doneAt: null },
    data: { doneAt: at, receipt, tokensSealed: null, leaseUntil: null },
  });
}

export function postponeOutboxItem(db: Db, id: string, dueAt: Date) {
  return db.outboxItem.updateMany({
    where: { id, doneAt: null },
    data: { dueAt, attempts: { increment: 1 }, leaseUntil: null },
  });
}

// --- sealed values, whatever they are ---

/** Where sealed values stand. These names become part of the statements: they are constants, never input. */
export interface SealedColumn {
  table: 'connector' | 'operator_client' | 'app' | 'credential' | 'pending_flow' | 'outbox_item' | 'audit_chain';
  key: 'id' | 'connectionId' | 'providerKey';
  column: `${string}Sealed`;
}

const quoted = (name: string) => Prisma.raw(`"${name}"`);
/** The key id of an envelope; null for what is none, which must not be told. */
const kidIn = (column: string) => Prisma.sql`substring(${quoted(column)} from '^([A-Za-z0-9_-]{1,32})[.]')`;
const notUnder = (column: string, kid: string) =>
  Prisma.sql`${quoted(column)} IS NOT NULL AND ${kidIn(column)} IS DISTINCT FROM ${kid}`;

export async function countSealedUnderOthers(db: Db, { table, column }: SealedColumn, kid: string): Promise<number> {
  const [row] = await db.$queryRaw<{ count: number }[]>`
    SELECT count(*)::int AS count FROM ${quoted(table)} WHERE ${notUnder(column, kid)}`;
  return row?.count ?? 0;
}

/** The next values that another key than the given one sealed, in order of their rows' ids. */
export function findSealedUnderOthers(
  db: Db,
  { table, key, column }: SealedColumn,
  kid: string,
  afterId: string,
  limit: number,
) {
  return db.$queryRaw<{ id: string; sealed: string }[]>`
    SELECT ${quoted(key)} AS id, ${quoted(column)} AS sealed FROM ${quoted(table)}
    WHERE ${notUnder(column, kid)} AND ${quoted(key)} > ${afterId} ORDER BY ${quoted(key)} LIMIT ${limit}`;
}

/** Puts one sealed value in the place of another. False where somebody has written there since. */
export async function replaceSealed(
  db: Db,
  { table, key, column }: SealedColumn,
  row: { id: string; sealed: string },
  resealed: string,
): Promise<boolean> {
  const count = await db.$executeRaw`
    UPDATE ${quoted(table)} SET ${quoted(column)} = ${resealed}
    WHERE ${quoted(key)} = ${row.id} AND ${quoted(column)} = ${row.sealed}`;
  return count === 1;
}

/** How many values each key has sealed; null for what is no envelope. */
export function countSealedByKey(db: Db, { table, column }: SealedColumn) {
  return db.$queryRaw<{ kid: string | null; count: number }[]>`
    SELECT ${kidIn(column)} AS kid, count(*)::int AS count FROM ${quoted(table)}
    WHERE ${quoted(column)} IS NOT NULL GROUP BY 1`;
}
