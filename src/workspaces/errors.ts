import type { Plan } from '../db/generated/prisma/enums.ts';
import { failure } from '../failures/tell.ts';
import { DomainError, remedy } from '../lib/domain-error.ts';

/** Nobody we know is calling. */
export class UnauthenticatedError extends DomainError {
  readonly code = 'UNAUTHENTICATED';

  constructor(message: string) {
    super(message, { remedy: remedy('USER', 'Sign in to the app again.', 'Repeat what you did.') });
  }
}

/** The caller was known until their identity token expired. */
export class IdentityTokenExpiredError extends UnauthenticatedError {
  constructor() {
    super('The identity token has expired.');
  }
}

/** We know who is calling, and they may not do this. */
export class ForbiddenError extends DomainError {
  readonly code = 'FORBIDDEN';
}

/** There is nothing by that id that the caller may know of. */
export class NotFoundError extends DomainError {
  readonly code = 'NOT_FOUND';

  constructor(what: string) {
    super(`There is no ${what} with this id.`, what === 'connector' ? failure('CONNECTOR_DELETED')[1] : {});
  }
}

/** A value that cannot be taken, with the path of each field at fault. */
export class ValidationError extends DomainError {
  readonly code = 'VALIDATION';
  readonly fields: { path: string; message: string }[];

  constructor(fields: { path: string; message: string }[]) {
    super(fields.map((field) => field.message).join(' '));
    this.fields = fields;
  }
}

/** The workspace's plan does not include this. */
export class PlanRequiredError extends DomainError {
  readonly code = 'PLAN_REQUIRED';
  readonly requiredPlan: Plan;
  readonly currentPlan: Plan;

  constructor(requiredPlan: Plan, currentPlan: Plan) {
    super(`This needs the plan ${requiredPlan} or higher; the workspace is on ${currentPlan}. Nothing was lost.`, {
      remedy: remedy(
        'OPERATOR',
        `Raise the workspace's plan to ${requiredPlan} or higher.`,
        'Everything works again at once.',
      ),
    });
    this.requiredPlan = requiredPlan;
    this.currentPlan = currentPlan;
  }
}

/** The caller has asked too often. */
export class RateLimitedError extends DomainError {
  readonly code = 'RATE_LIMITED';
  readonly retryAfterSeconds: number;

  constructor(retryAfterSeconds: number, message = `Too many requests. Try again in ${retryAfterSeconds} seconds.`) {
    super(message);
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** The page that calls is on an origin that its app has not registered. */
export function unregisteredOrigin(origin: string): ForbiddenError {
  return new ForbiddenError(...failure('ORIGIN_NOT_REGISTERED', { origin: origin.slice(0, 255) }));
}

/** Connections of one app that an act would touch: those of its users, and those that it shares, which are nobody's own. */
export interface AffectedApp {
  appId: string;
  connections: number;
  /** How many users have at least one of them. */
  users: number;
}

const number = (count: number, one: string) => `${count} ${count === 1 ? one : `${one}s`}`;

/** What an act would do to so many connections in so many apps. */
const consequences = {
  'delete-connector': (connections: string) =>
    `Deleting this connector ends ${connections}: every grant is revoked, and this cannot be undone.`,
  'delete-app': (connections: string) =>
    `Deleting this app ends ${connections}: every grant is revoked, and this cannot be undone.`,
  'switch-off': (connections: string) => `Switching this off blocks ${connections} until it is switched on again.`,
  'change-operator-client': (connections: string) =>
    `With another client, ${connections} must be made again; putting this one back heals what has not been.`,
  'remove-operator-client': (connections: string) =>
    `Without this client, ${connections} cannot be used until it is given again.`,
};

/** The users among affected connections: each app has its own. */
export function countUsers(affected: readonly AffectedApp[]): number {
  return affected.reduce((sum, { users }) => sum + users, 0);
}

/** The act is large: it must be confirmed. Nothing has changed yet. */
export class ConfirmationRequiredError extends DomainError {
  readonly code = 'CONFIRMATION_REQUIRED';
  readonly affectedUsers: number;
  readonly affectedConnections: AffectedApp[];

  constructor(act: keyof typeof consequences, affectedConnections: AffectedApp[]) {
    const connections = affectedConnections.reduce((sum, app) => sum + app.connections, 0);
    const what = `${number(connections, 'connection')} in ${number(affectedConnections.length, 'app')}`;
    super(`${consequences[act](what)} Nothing has changed yet.`, {
      remedy: remedy(
        'ADMIN',
        'Look at the apps and the number of users affected.',
        'Repeat the call with confirm: true to go on.',
      ),
    });
    this.affectedUsers = countUsers(affectedConnections);
    this.affectedConnections = affectedConnections;
  }
}
