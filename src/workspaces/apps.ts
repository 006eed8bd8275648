import { randomBytes, randomUUID } from 'node:crypto';
import type { Keyring } from '../crypto/keyring.ts';
import { seal } from '../crypto/seal.ts';
import type { Db, Tx } from '../db/client.ts';
import type { OriginKind } from '../db/generated/prisma/enums.ts';
import type { StatusEvents } from '../events/status-events.ts';
import type { Clock } from '../lib/clock.ts';
import { Secret } from '../lib/secret.ts';
import { actorOf, recordAct } from './audit.ts';
import type { Caller } from './caller.ts';
import { ConfirmationRequiredError, NotFoundError, ValidationError } from './errors.ts';
import { insertNewAppKey } from './keys.ts';
import { assertCan } from './membership.ts';
import { type AppOrigin, readOrigin } from './origin.ts';
import { readText } from './read-text.ts';
import * as store from './store.ts';

interface AppDeps {
  db: Db;
  clock: Clock;
  keyring: Keyring;
  /** Answers what is wrong with a URL that the service will call, or null. */
  checkUrl: (url: string) => string | null;
  /** Tells the open streams of the app's users to look whether they may go on. */
  events: StatusEvents;
  /** Tells the background that there is work. */
  wakeWorker: () => void;
}

/** How an app's users prove who they are: an issuer with a JWKS, or a secret shared with the app (HS256). */
export type IdentityInput =
  | { type: 'jwks'; issuer: string; audience: string; jwksUrl: string }
  | { type: 'secret'; issuer: string; audience: string };

/** Who the identity secret of an app belongs to when sealed. */
export const identitySecretOwner = (appId: string) => ({ table: 'app', id: appId, field: 'identitySecret' });

/** Creates an app with its origins and its first key. The key and the identity secret are answered once. */
export async function createApp(
  deps: AppDeps,
  caller: Caller,
  input: { workspaceId: string; name: string; origins: AppOrigin[]; identity: IdentityInput },
) {
  assertCan(caller, 'app.manage', input.workspaceId, 'workspace');
  const name = readText(input.name, 'input.name', 'A name');
  const origins = readOrigins(input.origins);
  const id = randomUUID();
  const { identitySecret, ...identity } = readIdentity(deps, id, input.identity);
  return deps.db.$transaction(async (tx) => {
    const app = await store.insertApp(tx, { id, workspaceId: input.workspaceId, name, ...identity });
    await setOrigins(tx, app, origins);
    const { appKey, secret } = await insertNewAppKey(tx, id);
    const act = { act: 'APP_CREATED', workspaceId: app.workspaceId, appId: id, targetId: appKey.id } as const;
    await recordAct(deps, tx, actorOf(caller), act);
    return { app, appKey, appKeySecret: secret, identitySecret };
  });
}

/** Changes what is given; the rest stays. A new secret identity gets a new secret, answered once. */
export async function editApp(
  deps: AppDeps,
  caller: Caller,
  input: { appId: string; name: string | null; origins: AppOrigin[] | null; identity: IdentityInput | null },
) {
  await requireApp(deps, caller, input.appId);
  const name = input.name === null ? null : readText(input.name, 'input.name', 'A name');
  const origins = input.origins && readOrigins(input.origins);
  const { identitySecret, ...identity } = input.identity
    ? readIdentity(deps, input.appId, input.identity)
    : { identitySecret: null };
  const app = await deps.db.$transaction(async (tx) => {
    const changed = await store.updateApp(tx, input.appId, {
      ...(name !== null && { name }),
      ...identity,
      updatedAt: deps.clock.now(),
    });
    if (origins) await setOrigins(tx, changed, origins);
    const given = (['name', 'origins', 'identity'] as const).filter((field) => input[field] !== null);
    const act = { act: 'APP_EDITED', workspaceId: changed.workspaceId, appId: changed.id } as const;
    await recordAct(deps, tx, actorOf(caller), { ...act, details: { changed: given } });
    return changed;
  });
  deps.events.publish({ workspaceId: app.workspaceId });
  return { app, identitySecret };
}

/** Deletes an app, once confirmed: its keys stop and its users' grants are revoked in the background. Cannot be undone. */
export async function deleteApp(
  deps: AppDeps,
  caller: Caller,
  input: { appId: string; confirm: boolean },
): Promise<void> {
  const app = await requireApp(deps, caller, input.appId);
  if (!input.confirm) {
    throw new ConfirmationRequiredError('delete-app', await store.countAppUse(deps.db, app.id));
  }
  await deps.db.$transaction(async (tx) => {
    if (!(await store.tombstoneApp(tx, app, deps.clock.now()))) throw new NotFoundError('app');
    const act = { act: 'APP_DELETED', workspaceId: app.workspaceId, appId: app.id } as const;
    await recordAct(deps, tx, actorOf(caller), act);
  });
  deps.events.publish({ workspaceId: app.workspaceId });
  deps.wakeWorker();
}

async function requireApp(deps: { db: Db }, caller: Caller, appId: string) {
  const app = await store.findApp(deps.db, appId);
  if (!app) throw caller.kind === 'anonymous' ? caller.error : new NotFoundError('app');
  assertCan(caller, 'app.manage', app.workspaceId, 'app');
  return app;
}

function readOrigins(inputs: AppOrigin[]): AppOrigin[] {
  const faults: { path: string; message: string }[] = [];
  const origins: AppOrigin[] = [];
  if (inputs.length > 100) faults.push({ path: 'input.origins', message: 'An app has at most 100 origins.' });
  inputs.forEach(({ kind, origin }, index) => {
    const path = `input.origins.${index}`;
    const read = readOrigin(origin);
    if (kind === ('SERVICE' satisfies OriginKind)) {
      faults.push({ path: `${path}.kind`, message: 'SERVICE is always there; choose LIVE, CUSTOM or PREVIEW.' });
    }
    if ('fault' in read) faults.push({ path: `${path}.origin`, message: read.fault });
    else if (origins.some((own) => own.origin === read.origin)) {
      faults.push({ path: `${path}.origin`, message: `${read.origin} is listed twice.` });
    } else origins.push({ kind, origin: read.origin });
  });
  if (origins.filter((own) => own.kind === 'LIVE').length > 1) {
    faults.push({ path: 'input.origins', message: 'An app has at most one LIVE origin.' });
  }
  if (faults.length > 0) throw new ValidationError(faults);
  return origins;
}

async function setOrigins(tx: Tx, app: { id: string; workspaceId: string }, origins: AppOrigin[]): Promise<void> {
  await store.lockWorkspace(tx, app.workspaceId); // two apps claiming one origin take turns, so that the second is told in words
  const claimed = await store.findClaimed(
    tx,
    app.workspaceId,
    app.id,
    origins.map((own) => own.origin),
  );
  if (claimed.length > 0) {
    throw new ValidationError(
      claimed.map(({ origin }) => ({
        path: `input.origins.${origins.findIndex((own) => own.origin === origin)}.origin`,
        message: `${origin} belongs to another app of this workspace.`,
      })),
    );
  }
  await store.replaceOrigins(tx, app, origins);
}

function readIdentity(deps: AppDeps, appId: string, input: IdentityInput) {
  const identityIssuer = readText(input.issuer, `input.identity.${input.type}.issuer`, 'An issuer', 2048);
  const identityAudience = readText(input.audience, `input.identity.${input.type}.audience`, 'An audience', 255);
  if (input.type === 'jwks') {
    const tooLong = input.jwksUrl.length > 2048;
    const fault = tooLong ? 'A URL has at most 2048 characters.' : deps.checkUrl(input.jwksUrl);
    if (fault) throw new ValidationError([{ path: 'input.identity.jwks.jwksUrl', message: fault }]);
    return {
      identityIssuer,
      identityAudience,
      identityJwksUrl: input.jwksUrl,
      identitySecretSealed: null,
      identitySecret: null,
    };
  }
  const identitySecret = new Secret(randomBytes(32).toString('base64url'));
  return {
    identityIssuer,
    identityAudience,
    identityJwksUrl: null,
    identitySecretSealed: seal(deps.keyring, identitySecretOwner(appId), identitySecret),
    identitySecret,
  };
}
