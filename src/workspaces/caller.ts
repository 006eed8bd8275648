import type { WorkspaceRole } from '../db/generated/prisma/enums.ts';
import type { DomainError } from '../lib/domain-error.ts';
import { ForbiddenError, UnauthenticatedError } from './errors.ts';

/** The app that a caller speaks for. */
export interface CallerApp {
  id: string;
  workspaceId: string;
  name: string;
  origins: { kind: 'LIVE' | 'CUSTOM' | 'PREVIEW' | 'SERVICE'; origin: string }[];
}

/** Somebody with roles in workspaces: a person, or a workspace key (whose `subject` is `key:` and its id). */
export interface Member {
  kind: 'member';
  subject: string;
  memberships: { workspaceId: string; role: WorkspaceRole }[];
  /** When the person's identity token ends; null for a key. */
  expiresAt: Date | null;
  /** What the assistant calls itself that acts for them; left out where they act themselves. */
  assistant?: string;
}

/** Who is calling. Made by identity/, the same for HTTP and WebSocket. */
export type Caller =
  | { kind: 'anonymous'; error: DomainError }
  | { kind: 'operator' }
  | Member
  | { kind: 'app-user'; app: CallerApp; userId: string; expiresAt: Date }
  | {
      kind: 'backend-function';
      app: CallerApp;
      user: { userId: string; expiresAt: Date } | null;
      /** Where the caller was recognised by an earlier request: what must still be so. Only a read that looks it up may act on it. */
      recalled?: RecalledKey;
    };

/** The app key that an earlier request showed, and as of when its app was known. */
export interface RecalledKey {
  keyId: string;
  appAsOf: Date;
}

/** What was remembered of the caller is so no longer: ask again who calls. */
export class CallerOutdated extends Error {
  override readonly name = 'CallerOutdated';
}

/** An app user, whether they call themselves or through a backend function. */
export interface CallingUser {
  app: CallerApp;
  userId: string;
  expiresAt: Date;
}

/** What a caller showed, in a word for the log: nobody is named. */
export function callerKind(caller: Caller): string {
  switch (caller.kind) {
    case 'backend-function':
      return 'app-key';
    case 'member':
      return keyIdOf(caller.subject) === null ? 'admin' : 'workspace-key';
    case 'anonymous':
    case 'operator':
    case 'app-user':
      return caller.kind;
  }
}

/** One name for all that a person, a key or an app's backend holds open here. */
export function holderOf(caller: Caller): string {
  const app = callingApp(caller);
  if (app) return `${app.id} ${callingUser(caller)?.userId ?? ''}`;
  return caller.kind === 'member' ? `member ${caller.subject}` : caller.kind;
}

/** The app user who calls, or null. */
export function callingUser(caller: Caller): CallingUser | null {
  if (caller.kind === 'app-user') return caller;
  if (caller.kind === 'backend-function' && caller.user) return { app: caller.app, ...caller.user };
  return null;
}

/** The app that calls, with or without a user; null for everybody else. */
export function callingApp(caller: Caller): CallerApp | null {
  return caller.kind === 'app-user' || caller.kind === 'backend-function' ? caller.app : null;
}

const keyPrefix = 'key:';

/** How a workspace key is named where persons are named by their `sub`. */
export function keySubject(keyId: string): string {
  return keyPrefix + keyId;
}

/** The workspace key that a subject names; null where it names a person. */
export function keyIdOf(subject: string): string | null {
  return subject.startsWith(keyPrefix) ? subject.slice(keyPrefix.length) : null;
}

/** When what the caller shows ends by itself; null where it does not. */
export function expiryOf(caller: Caller): Date | null {
  return caller.kind === 'member' ? caller.expiresAt : (callingUser(caller)?.expiresAt ?? null);
}

/** @throws UnauthenticatedError (or why an origin was refused) unless an app user calls. */
export function requireUser(caller: Caller): CallingUser {
  const user = callingUser(caller);
  if (user) return user;
  if (caller.kind === 'anonymous') throw caller.error;
  throw caller.kind === 'backend-function'
    ? new UnauthenticatedError("Send the user's identity token as `On-Behalf-Of: Bearer <identity token>`.")
    : new UnauthenticatedError(
        'This is for app users: send their identity token as `Authorization: Bearer <identity token>` with `X-App-Id`.',
      );
}

/** @throws ForbiddenError for a user credential alone, UnauthenticatedError for everybody but a backend function with a user. */
export function requireBackendWithUser(caller: Caller): CallingUser {
  if (caller.kind === 'app-user') {
    throw new ForbiddenError(
      "Tokens go to backend functions only: call with the app's key as `Authorization` and the identity token as `On-Behalf-Of`.",
    );
  }
  return requireUser(caller);
}

/** @throws ForbiddenError for a user credential alone, UnauthenticatedError for everybody but a backend function. */
export function requireBackend(caller: Caller): CallerApp {
  if (caller.kind === 'backend-function') return caller.app;
  if (caller.kind === 'anonymous') throw caller.error;
  if (caller.kind === 'app-user') {
    throw new ForbiddenError("Tokens go to backend functions only: call with the app's key as `Authorization`.");
  }
  throw new UnauthenticatedError(
    "This is for backend functions: send the app's key as `Authorization: Bearer <app key>`.",
  );
}
