import { isComplete, type Notice, redirectUrisOf } from '../connectors/connector.ts';
import { ConnectorDisabledError, ConnectorIncompleteError } from '../connectors/errors.ts';
import { requireEditable } from '../connectors/manage.ts';
import type { ResolveServer } from '../connectors/server.ts';
import type { Keyring } from '../crypto/keyring.ts';
import type { Db } from '../db/client.ts';
import { parseUrl } from '../lib/parse-url.ts';
import type { Connector } from '../db/generated/prisma/client.ts';
import type { Clock } from '../lib/clock.ts';
import type { DomainError } from '../lib/domain-error.ts';
import type { Logger } from '../lib/logger.ts';
import type { AuthorizationServer } from '../oauth/authorization-server.ts';
import { OAuthError, type OAuthVerdict } from '../oauth/failure.ts';
import { plainHost, type ProviderFetch } from '../oauth/fetch.ts';
import { type Acceptance, probeAddress, probeClient, probeRedirectUris, type Silence } from '../oauth/probe.ts';
import { actorOf, recordAct } from '../workspaces/audit.ts';
import type { Caller } from '../workspaces/caller.ts';
import { RateLimitedError, ValidationError } from '../workspaces/errors.ts';
import { findSwitchedOff, findWorkspaceApps } from '../workspaces/store.ts';
import { noteAcceptance, noteRefusal } from './connector-refusal.ts';
import { clientFacts, flowError, hostFacts, ProviderUnavailableError } from './errors.ts';
import { clientOf } from './grant.ts';
import * as store from './store.ts';

export interface CheckDeps {
  db: Db;
  clock: Clock;
  keyring: Keyring;
  fetch: ProviderFetch;
  resolveServer: ResolveServer;
  publicUrl: string;
  log: Logger;
}

/** What is known of a connector's settings without any user having tried. */
export interface ConnectorCheck {
  /** The addresses asked; `problem` null: it answers. */
  endpoints: { name: 'ISSUER' | 'AUTHORIZATION' | 'TOKEN'; url: string; problem: DomainError | null }[];
  client: Acceptance;
  redirectUris: { kind: ReturnType<typeof redirectUrisOf>[number]['kind']; uri: string; acceptance: Acceptance }[];
  /** What is wrong, the first to be mended first. */
  problems: DomainError[];
  checkedAt: Date;
}

/** A request of a check takes at most so long; there are three in a row at most. */
const requestMs = { asked: 3_000, saved: 1_500 };
/** Of checks of one connector, so many may come at once, and one more after each interval. */
const checkIntervalMs = 10_000;
const checksAtOnce = 6;

/**
 * Tries a connector's settings at its provider: its addresses, its client and its redirect URIs. No user and no token is involved.
 * @throws as editConnector; ConnectorDisabledError, RateLimitedError
 */
export async function checkConnector(deps: CheckDeps, caller: Caller, connectorId: string): Promise<ConnectorCheck> {
  const connector = await requireEditable(deps, caller, connectorId);
  if (await findSwitchedOff(deps.db, connector)) throw new ConnectorDisabledError({ provider: connector.providerKey });
  const waitMs = await takeCheck(deps, connector.id);
  if (waitMs > 0) throw new RateLimitedError(Math.ceil(waitMs / 1000));
  const check = await runCheck(deps, connector, requestMs.asked);
  const { id, workspaceId } = connector;
  const details = { client: check.client };
  const outcome = check.problems[0]?.code ?? 'OK';
  const act = { act: 'CONNECTOR_CHECKED', workspaceId, connectorId: id, outcome, details } as const;
  await deps.db.$transaction((tx) => recordAct(deps, tx, actorOf(caller), act));
  return check;
}

/**
 * What to tell an admin of the settings that they have just saved. It never stands in the way of saving: what cannot be found out
 * within a few seconds is told to be unknown. `asksProvider`: whether anything but the issuer's metadata is asked for.
 */
export async function checkSaved(deps: CheckDeps, connector: Connector, asksProvider: boolean): Promise<Notice[]> {
  const notices = scopeProblems(connector).map((problem) => noticeOf('input.scopes', problem));
  try {
    if (!asksProvider || !isComplete(connector)) {
      const { problem } = await findServer(deps, connector, requestMs.saved);
      return problem ? [...notices, serverNotice(problem)] : notices;
    }
    if ((await takeCheck(deps, connector.id)) > 0) return [...notices, unchecked];
    const { endpoints, problems } = await runCheck(deps, connector, requestMs.saved);
    const silences = endpoints.flatMap(({ name, problem }) => (problem ? [{ name, problem }] : []));
    const told = silences.map(({ name, problem }) =>
      name === 'ISSUER' ? issuerNotice(problem) : noticeOf(paths[name], problem),
    );
    const others = problems.filter((problem) => !silences.some((silence) => silence.problem === problem));
    return [...told, ...others.map((problem) => noticeOf(pathOf(problem), problem))];
  } catch (error) {
    deps.log.error({ err: error, connectorId: connector.id }, 'a saved connector could not be checked');
    return [...notices, unchecked];
  }
}

const paths = {
  AUTHORIZATION: 'input.custom.endpoints.authorizationUrl',
  TOKEN: 'input.custom.endpoints.tokenUrl',
};

const settingsPath = 'input.connectionConfig';

const unchecked: Notice = {
  path: 'input',
  message: 'This was saved and not checked at the provider: call checkConnector in a minute.',
};

function pathOf({ code }: DomainError): string {
  if (code === 'VALIDATION') return settingsPath;
  if (code === 'INVALID_CLIENT') return 'input.clientSecret';
  return code === 'INVALID_SCOPE' ? 'input.scopes' : 'input';
}

function noticeOf(path: string, problem: DomainError): Notice {
  const values = problem.remedy?.values.map(({ label, value }) => `${label}: ${value}`).join(', ');
  return { path, message: values ? `${problem.message} (${values})` : problem.message, problem };
}

function serverNotice(problem: DomainError): Notice {
  return problem instanceof ValidationError ? noticeOf(pathOf(problem), problem) : issuerNotice(problem);
}

function issuerNotice(problem: DomainError): Notice {
  const path = 'input.custom.discovery.issuer';
  const reason = problem.cause instanceof Error ? problem.cause.message : problem.message;
  return { path, message: `The issuer could not be read: ${reason}`, problem };
}

/** Zero where a check may be made now, and then it counts; else how long to wait. The same for all instances. */
async function takeCheck(deps: CheckDeps, connectorId: string): Promise<number> {
  const now = deps.clock.now();
  const fillUntil = await store.takeCheck(deps.db, connectorId, now, checkIntervalMs, checkIntervalMs * checksAtOnce);
  return fillUntil === null ? 0 : fillUntil.getTime() - now.getTime() - checkIntervalMs * (checksAtOnce - 1);
}

/** How to speak to the provider, found in time; or why that cannot be told. */
async function findServer(
  deps: CheckDeps,
  connector: Connector,
  timeoutMs: number,
): Promise<{ server: AuthorizationServer; problem: null } | { server: null; problem: DomainError }> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), timeoutMs);
  });
  try {
    const server = await Promise.race([deps.resolveServer(connector), late]);
    return server ? { server, problem: null } : { server: null, problem: silenceError(connector, timedOut, null) };
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error;
    // a setting of the address is missing, where the client that it was left to was the operator's
    const isSetting = error.verdict.code === 'UNSUPPORTED';
    const fault = { path: settingsPath, message: error.message };
    const problem = isSetting ? new ValidationError([fault]) : silenceError(connector, error.verdict, error);
    return { server: null, problem };
  } finally {
    clearTimeout(timer);
  }
}

const timedOut: OAuthVerdict = { kind: 'retry', code: 'TIMEOUT', retryAfterSeconds: null, lost: false };

function silenceError(
  { custom }: Pick<Connector, 'custom'>,
  verdict: OAuthVerdict,
  cause: Error | null,
  url: string = issuerOf({ custom }) ?? '',
): DomainError {
  const asked = parseUrl(url);
  const isBlocked = verdict.code === 'BLOCKED_HOST';
  const facts = hostFacts(asked && (isBlocked ? plainHost(asked) : asked.host));
  const name = isBlocked ? 'ADDRESS_BLOCKED' : 'ENDPOINT_UNREACHABLE';
  return Object.assign(new ProviderUnavailableError(60, facts, name), cause && { cause });
}

function issuerOf({ custom }: Pick<Connector, 'custom'>): string | null {
  return (custom as { issuer?: string } | null)?.issuer ?? null;
}

async function runCheck(deps: CheckDeps, connector: Connector, timeoutMs: number): Promise<ConnectorCheck> {
  const checkedAt = deps.clock.now();
  const apps = await findWorkspaceApps(deps.db, connector.workspaceId);
  const uris = redirectUrisOf(apps, deps.publicUrl, connector);
  const unknownUris = uris.map((uri) => ({ ...uri, acceptance: 'UNKNOWN' as const }));
  const problems: DomainError[] = isComplete(connector)
    ? []
    : [new ConnectorIncompleteError({ redirectUris: uris.map(({ uri }) => uri) })];
  problems.push(...scopeProblems(connector));
  const { server, problem } = await findServer(deps, connector, timeoutMs);
  if (!server) {
    const url = issuerOf(connector);
    const endpoints = url === null ? [] : [{ name: 'ISSUER' as const, url, problem }];
    return { endpoints, client: 'UNKNOWN', redirectUris: unknownUris, problems: [problem, ...problems], checkedAt };
  }
  const probe = { server, fetch: ((url, init) => deps.fetch(url, { ...init, timeoutMs })) satisfies ProviderFetch };
  const { client, redirectUris, silences } = isComplete(connector)
    ? await probeSettings(deps, probe, connector, uris)
    : { client: 'UNKNOWN' as const, redirectUris: unknownUris, silences: await probeAddresses(probe) };
  const problemOf = (url: string, silence: Silence) => silence && silenceError(connector, silence, null, url);
  const endpoints: ConnectorCheck['endpoints'] = [
    {
      name: 'AUTHORIZATION',
      url: server.authorizationUrl,
      problem: problemOf(server.authorizationUrl, silences.authorization),
    },
    { name: 'TOKEN', url: server.tokenUrl, problem: problemOf(server.tokenUrl, silences.token) },
  ];
  const facts = clientFacts(connector);
  const refused = redirectUris.filter(({ acceptance }) => acceptance === 'REFUSED').map(({ uri }) => uri);
  return {
    endpoints,
    client,
    redirectUris,
    problems: [
      ...endpoints.flatMap((endpoint) => endpoint.problem ?? []),
      ...(client === 'REFUSED' ? [flowError('INVALID_CLIENT', facts)] : []),
      ...(refused.length > 0 ? [flowError('REDIRECT_URI_MISMATCH', { ...facts, redirectUris: refused })] : []),
      ...problems,
    ],
    checkedAt,
  };
}

type Probe = { server: AuthorizationServer; fetch: ProviderFetch };

async function probeAddresses({ fetch, server }: Probe) {
  const [authorization, token] = await Promise.all([
    probeAddress(fetch, server.authorizationUrl),
    probeAddress(fetch, server.tokenUrl),
  ]);
  return { authorization, token };
}

/** What the provider thinks of the client is noted where an admin looks, as when a user's flow had found it out. */
async function probeSettings(
  deps: CheckDeps,
  probe: Probe,
  connector: Connector,
  uris: ReturnType<typeof redirectUrisOf>,
) {
  const client = await clientOf(deps, connector);
  if (!client) throw new ConnectorIncompleteError(); // the operator has just changed or removed it
  const redirectUris = uris.map(({ uri }) => uri);
  const told = await probeClient(probe, client, redirectUris[0] ?? deps.publicUrl);
  const asked = await probeRedirectUris(probe, {
    clientId: client.clientId,
    scopes: connector.scopes,
    redirectUris,
    clientIsAccepted: told.acceptance === 'ACCEPTED',
  });
  if (told.acceptance === 'REFUSED') {
    await noteRefusal(deps, connector, { kind: 'misconfigured', code: 'INVALID_CLIENT' });
  } else if (told.acceptance === 'ACCEPTED' && connector.refusal === 'INVALID_CLIENT') {
    await noteAcceptance(deps, connector);
  }
  return {
    client: told.acceptance,
    redirectUris: uris.map((uri, index) => ({ ...uri, acceptance: asked.acceptances[index] ?? 'UNKNOWN' })),
    silences: { authorization: asked.silence, token: told.silence },
  };
}

/** Scopes that look like several on one line: they are kept as entered, since a provider may mean it so. */
function scopeProblems(connector: Pick<Connector, 'scopes'>): DomainError[] {
  const odd = connector.scopes.filter((scope) => /[^,;][,;]/.test(scope));
  return odd.length > 0 ? [flowError('INVALID_SCOPE', { scopes: odd })] : [];
}
