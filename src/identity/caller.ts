import { hash, timingSafeEqual } from 'node:crypto';
import DataLoader from 'dataloader';
import { createRemoteJWKSet, customFetch, decodeJwt, errors, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { LRUCache } from 'lru-cache';
import type { Keyring } from '../crypto/keyring.ts';
import { open } from '../crypto/seal.ts';
import type { Db } from '../db/client.ts';
import type { Clock } from '../lib/clock.ts';
import { idOf } from '../lib/global-id.ts';
import { type Secret, sha256Hex } from '../lib/secret.ts';
import { UnavailableError } from '../lib/unavailable-error.ts';
import { OAuthError } from '../oauth/failure.ts';
import type { ProviderFetch } from '../oauth/fetch.ts';
import { identitySecretOwner } from '../workspaces/apps.ts';
import { type Caller, type CallerApp, keyIdOf, keySubject } from '../workspaces/caller.ts';
import {
  ForbiddenError,
  IdentityTokenExpiredError,
  UnauthenticatedError,
  unregisteredOrigin,
} from '../workspaces/errors.ts';
import { mayCallFrom } from '../workspaces/origin.ts';
import * as store from '../workspaces/store.ts';

export interface IdentityDeps {
  db: Db;
  clock: Clock;
  keyring: Keyring;
  fetch: ProviderFetch;
  operatorKey: Secret;
  admin: { issuer: string; audience: string; jwksUrl: string } | null;
  publicUrl: string;
}

/** What a caller shows, as HTTP headers or as the payload of `connection_init`. */
export interface Credentials {
  authorization: string | null;
  appId: string | null;
  onBehalfOf: string | null;
  /** The page's origin, as the browser (never the payload) tells it. */
  origin: string | null;
  /** Where the caller's connection comes from, as far as that is known. */
  address?: string | null;
}

interface VerifiedUser {
  userId: string;
  expiresAt: Date;
}

/** Whoever was found to be good, and until when that needs no second look, in milliseconds since 1970. */
interface Remembered<T> {
  found: T;
  until: number;
}

type AppRow = NonNullable<Awaited<ReturnType<typeof store.findApp>>>;

const asymmetric = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];

/** What jose throws where the issuer's keys could not be fetched: that says nothing about the token. */
const keysAreMissing = new Set([errors.JWKSTimeout.code, errors.JWKSInvalid.code, errors.JOSEError.code]);

const keysUnavailable =
  "The keys of the issuer of identity tokens cannot be read right now. Try again in a moment; if it lasts, check the app's jwksUrl.";

const notThisApps = 'The identity token is not valid for this app: check its issuer, audience and signature.';

export interface Identity {
  /** Tells who is calling. It never throws for what a caller sends: that is an anonymous caller, with the reason. */
  identify: (credentials: Credentials) => Promise<Caller>;
  /** The backend function that showed the same credentials before, to be confirmed by whoever acts on it; null where none did, or its identity token has ended. */
  recall: (credentials: Credentials) => Caller | null;
}

/** How many pairs of an app's key and an identity token, and how many identity tokens, are remembered: some megabytes. */
const maxRecalled = 20_000;
const maxApps = 1_000;
/** An issuer that has withdrawn a key is to be believed: as soon as jose itself asks for the keys again. */
const keySetMs = 600_000;
/** A key of an app is good until it is revoked, which whoever acts on it looks at. */
const forever = Number.POSITIVE_INFINITY;

export function createIdentify(deps: IdentityDeps): Identity {
  const keySets = new Map<string, JWTVerifyGetKey>();
  const recalled = new LRUCache<string, Remembered<Extract<Caller, { kind: 'backend-function' }>>>({
    max: maxRecalled,
  });
  const verified = new LRUCache<string, Remembered<VerifiedUser>>({ max: maxRecalled });
  /** By what is known of each: callers that stay, of whom an app may have thousands, share it. */
  const callerApps = new LRUCache<string, CallerApp>({ max: maxApps });
  const operatorHash = Buffer.from(sha256Hex(deps.operatorKey.reveal()));

  // streams ask all at once when something changes; an answer is never kept
  const apps = new DataLoader((ids: readonly string[]) => store.findApps(deps.db, ids), { cache: false });
  const appKeys = new DataLoader((hashes: readonly string[]) => store.findLiveAppKeys(deps.db, hashes), {
    cache: false,
  });

  const isStill = ({ until }: Remembered<unknown>) => until > deps.clock.now().getTime();

  function keySet(jwksUrl: string): JWTVerifyGetKey {
    let found = keySets.get(jwksUrl);
    if (!found) {
      found = createRemoteJWKSet(new URL(jwksUrl), {
        [customFetch]: async (url, options) => {
          const { status, headers, body } = await deps.fetch(url, { method: options.method });
          return new Response(body, { status, headers: [...headers] });
        },
      });
      keySets.set(jwksUrl, found);
    }
    return found;
  }

  async function verify(
    token: string,
    expected: { issuer: string; audience: string },
    key: Uint8Array | JWTVerifyGetKey,
  ): Promise<VerifiedUser> {
    const options = {
      issuer: expected.issuer,
      audience: expected.audience,
      requiredClaims: ['sub', 'exp'],
      currentDate: deps.clock.now(),
    };
    try {
      const { payload } =
        typeof key === 'function'
          ? await jwtVerify(token, key, { ...options, algorithms: asymmetric })
          : await jwtVerify(token, key, { ...options, algorithms: ['HS256'] });
      const { sub, exp } = payload;
      if (!sub || sub.length > 255 || /\p{Cc}/u.test(sub) || exp === undefined)
        throw new UnauthenticatedError('The identity token names nobody.');
      return { userId: sub, expiresAt: new Date(exp * 1000) };
    } catch (error) {
      if (error instanceof UnauthenticatedError) throw error;
      if (error instanceof errors.JWTExpired) throw new IdentityTokenExpiredError();
      if (error instanceof OAuthError || (error instanceof errors.JOSEError && keysAreMissing.has(error.code))) {
        throw new UnavailableError(keysUnavailable, { cause: error });
      }
      throw new UnauthenticatedError(notThisApps);
    }
  }

  /**
   * A token that was good is so until it ends, or what it is checked against changes, which `checkedBy` names: a change of status has
   * thousands asked about at once. `key`: the secret, or where the issuer publishes its keys, which it may withdraw.
   */
  async function verifyOnce(
    checkedBy: readonly unknown[],
    token: string,
    expected: { issuer: string; audience: string },
    key: string | (() => Uint8Array),
  ): Promise<Remembered<VerifiedUser>> {
    const name = hash('sha256', JSON.stringify([...checkedBy, token]), 'base64');
    const known = verified.get(name);
    if (known && isStill(known)) return known;
    const isPublished = typeof key === 'string';
    const found = await verify(token, expected, isPublished ? keySet(key) : key());
    const keysEndAt = isPublished ? deps.clock.now().getTime() + keySetMs : forever;
    const user = { found, until: Math.min(found.expiresAt.getTime(), keysEndAt) };
    verified.set(name, user);
    return user;
  }

  function verifyUser(app: AppRow, token: string): Promise<Remembered<VerifiedUser>> {
    const expected = { issuer: app.identityIssuer, audience: app.identityAudience };
    return verifyOnce([app.id, app.updatedAt], token, expected, app.identityJwksUrl ?? (() => secretOf(app)));
  }

  function secretOf(app: AppRow): Uint8Array {
    const secret = open(deps.keyring, identitySecretOwner(app.id), app.identitySecretSealed ?? '');
    return new TextEncoder().encode(secret.reveal());
  }

  function callerApp(app: AppRow, origin: string | null): CallerApp {
    if (origin !== null && !mayCallFrom(app, deps.publicUrl, origin)) {
      throw unregisteredOrigin(origin);
    }
    const { id, workspaceId, name, origins } = app;
    const found = { id, workspaceId, name, origins: origins.map(({ kind, origin: own }) => ({ kind, origin: own })) };
    const text = JSON.stringify(found);
    const same = callerApps.get(text) ?? found;
    callerApps.set(text, same);
    return same;
  }

  async function appUser(appId: string, token: string, origin: string | null): Promise<Caller> {
    const id = idOf('App', appId);
    const app = id && (await apps.load(id));
    // the same answer for an app that is not there and for a token that is not its own
    if (!app) throw new UnauthenticatedError(notThisApps);
    const { found: user } = await verifyUser(app, token);
    return { kind: 'app-user', app: callerApp(app, origin), userId: user.userId, expiresAt: user.expiresAt };
  }

  async function backendFunction(
    authorization: string,
    key: string,
    onBehalfOf: string | null,
    origin: string | null,
  ): Promise<Caller> {
    const found = await appKeys.load(sha256Hex(key));
    if (!found) throw new UnauthenticatedError('The app key is not known or was revoked.');
    const token = onBehalfOf === null ? null : bearer(onBehalfOf);
    if (onBehalfOf !== null && token === null) {
      throw new UnauthenticatedError('On-Behalf-Of must be `Bearer <identity token>`.');
    }
    const user = token === null ? null : await verifyUser(found.app, token);
    const caller = { kind: 'backend-function', app: callerApp(found.app, origin), user: user?.found ?? null } as const;
    const still = { keyId: found.id, appAsOf: found.app.updatedAt };
    if (origin === null) {
      const remembered = { found: { ...caller, recalled: still }, until: user?.until ?? forever };
      recalled.set(credentialsHash(authorization, onBehalfOf), remembered);
    }
    return caller;
  }

  async function member(token: string): Promise<Caller> {
    if (token.startsWith('wsk_')) {
      const key = await store.findLiveWorkspaceKey(deps.db, sha256Hex(token));
      if (!key) throw new UnauthenticatedError('The workspace key is not known or was revoked.');
      const { workspaceId, role } = key;
      return { kind: 'member', subject: keySubject(key.id), memberships: [{ workspaceId, role }], expiresAt: null };
    }
    if (!deps.admin || !isJwt(token)) {
      throw new UnauthenticatedError('The bearer token is not known. An app user also sends X-App-Id.');
    }
    const { found } = await verifyOnce(['admin'], token, deps.admin, deps.admin.jwksUrl);
    const { userId: subject, expiresAt } = found;
    // a person is nobody's key, whatever their issuer calls them
    const memberships = keyIdOf(subject) === null ? await store.findMemberships(deps.db, subject) : [];
    return { kind: 'member', subject, memberships, expiresAt };
  }

  async function identify({ authorization, appId, onBehalfOf, origin }: Credentials): Promise<Caller> {
    try {
      if (authorization === null) throw new UnauthenticatedError('Sign in: there is no Authorization.');
      const token = bearer(authorization);
      if (token === null) throw new UnauthenticatedError('Authorization must be `Bearer <token>`.');
      if (timingSafeEqual(Buffer.from(sha256Hex(token)), operatorHash)) return { kind: 'operator' };
      if (token.startsWith('apk_')) return await backendFunction(authorization, token, onBehalfOf, origin);
      if (appId !== null && !token.startsWith('wsk_')) return await appUser(appId, token, origin);
      return await member(token);
    } catch (error) {
      if (error instanceof UnauthenticatedError || error instanceof ForbiddenError) return { kind: 'anonymous', error };
      throw error;
    }
  }

  return {
    identify,
    recall({ authorization, onBehalfOf, origin }) {
      if (authorization === null || origin !== null) return null;
      const known = recalled.get(credentialsHash(authorization, onBehalfOf));
      return known && isStill(known) ? known.found : null;
    },
  };
}

/** Credentials are remembered by their hash alone. */
function credentialsHash(authorization: string, onBehalfOf: string | null): string {
  // no header holds a line's end
  return hash('sha256', onBehalfOf === null ? authorization : `${authorization}\n${onBehalfOf}`, 'base64');
}

function bearer(header: string): string | null {
  return /^Bearer +([\x21-\x7e]{1,8192})$/i.exec(header)?.[1] ?? null;
}

function isJwt(token: string): boolean {
  try {
    return decodeJwt(token).iss !== undefined;
  } catch {
    return false;
  }
}
