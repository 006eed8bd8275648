import {
  type DefaultConnectionArguments,
  resolveCursorConnection,
  type ResolveCursorConnectionArgs,
} from '@pothos/plugin-relay';
import type { AuditAct as Acts, AuditActorKind as ActorKinds } from '../../db/generated/prisma/enums.ts';
import { globalId, idOf } from '../../lib/global-id.ts';
import { serviceAuditId } from '../../workspaces/audit.ts';
import { type AuditRow, listAudits } from '../../workspaces/audit-list.ts';
import type { AuditFilter } from '../../workspaces/audit-store.ts';
import { requireOperator } from '../../workspaces/membership.ts';
import { batched } from '../batch.ts';
import { ValidationError } from '../../workspaces/errors.ts';
import { builder } from '../builder.ts';
import type { GraphqlContext } from '../context.ts';
import { auditVisibleTo } from '../visibility.ts';
import { Workspace } from './workspace.ts';

const AuditAct = builder.enumType('AuditAct', {
  description: 'What was done.',
  values: {
    WORKSPACE_CREATED: { description: 'The workspace was created.' },
    PLAN_SET: { description: 'Its plan was set; details: from, to.' },
    MEMBER_SET: { description: 'A person became a member, or got another role; details: from, to.' },
    MEMBER_REMOVED: { description: "A person's membership ended." },
    WORKSPACE_KEY_CREATED: { description: 'A workspace key was made; details: role.' },
    WORKSPACE_KEY_REVOKED: { description: 'A workspace key was ended.' },
    PROVIDER_AVAILABILITY_SET: { description: 'A provider was switched on or off.' },
    APP_CREATED: { description: 'An app was created, with its first key.' },
    APP_EDITED: { description: 'An app was changed; details: changed.' },
    APP_DELETED: { description: 'An app was deleted.' },
    APP_KEY_CREATED: { description: 'A further key of an app was made.' },
    APP_KEY_REVOKED: { description: "An app's key was ended." },
    CONNECTOR_ADDED: { description: 'A connector was added; details: provider, kind, scopesAdded.' },
    CONNECTOR_EDITED: { description: 'A connector was changed; details: changed, scopesAdded, scopesRemoved.' },
    CONNECTOR_CHECKED: { description: "A connector's settings were tried at the provider; details: client." },
    CONNECTOR_DELETED: { description: 'A connector was deleted.' },
    CONNECTIONS_REVOKED: {
      description:
        'All connections of a connector were revoked, alone or with those of its provider or the whole workspace; details: of, provider, connections.',
    },
    CONNECTOR_REQUESTED: {
      description:
        'An assistant asked for a connector, or for a change of one, that a person has to approve; details: provider, request.',
    },
    CONNECTOR_REQUEST_REJECTED: {
      description: 'The person rejected what an assistant had asked for; details: request.',
    },
    ACCOUNT_CONNECTED: {
      description:
        'An account was connected; details: changed (`account`, where it took the place of another), scopesAdded, scopesRemoved.',
    },
    CONNECT_FAILED: { description: 'A connect flow came back and came to nothing; the outcome says why.' },
    ACCOUNT_DISCONNECTED: { description: 'An account was disconnected: by its person, or as a deletion ended it.' },
    TOKEN_READ: { description: 'A token was asked for; the outcome says whether it was given.' },
    TOKEN_REFRESHED: { description: 'A token was refreshed at the provider, or could not be.' },
    GRANT_REFUSED: { description: 'The provider refused a grant for good: its user must connect again.' },
    OPERATOR_CLIENT_SET: {
      description:
        "The operator's client at a provider, which a connector uses, was given or changed; details: provider, changed.",
    },
    OPERATOR_CLIENT_REMOVED: {
      description: "The operator's client at a provider, which a connector used, was taken away.",
    },
    GRANT_REVOKED: { description: 'A grant was to be taken back at the provider; the outcome is OK or the receipt.' },
  } satisfies Record<keyof typeof Acts, { description: string }>,
});

const AuditActorKind = builder.enumType('AuditActorKind', {
  description: 'What kind of caller acted.',
  values: {
    OPERATOR: { description: 'Whoever runs this service.' },
    MEMBER: { description: 'A member of the workspace, or one of its keys.' },
    APP_USER: { description: 'A person signed in to an app.' },
    BACKEND_FUNCTION: { description: "An app's own server code, on behalf of a user or of nobody." },
    SERVICE: { description: 'The service by itself, in the background.' },
  } satisfies Record<keyof typeof ActorKinds, { description: string }>,
});

const AuditDetail = builder.objectRef<{ name: string; values: string[] }>('AuditDetail').implement({
  description: 'What more there is to know of an act.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'What it is.' }),
    values: t.exposeStringList('values', { description: 'Its values: of `changed`, the names of the fields.' }),
  }),
});

const AuditEvent = builder.prismaNode('AuditEvent', {
  id: { field: 'id' },
  nullable: true,
  findUnique: (id, { caller }) => ({ id, ...auditVisibleTo(caller) }),
  fields: (t) => ({
    at: t.expose('at', { type: 'DateTime' }),
    act: t.expose('act', { type: AuditAct }),
    outcome: t.exposeString('outcome', {}),
    actorKind: t.expose('actorKind', { type: AuditActorKind }),
    actor: t.exposeString('actor', { nullable: true }),
    appId: t.id({
      nullable: true,
      description: 'The app that it was done to, or through.',
      select: { appId: true },
      resolve: ({ appId }) => appId && globalId('App', appId),
    }),
    connectorId: t.id({
      nullable: true,
      description: 'The connector that it was done to, or through.',
      select: { connectorId: true },
      resolve: ({ connectorId }) => connectorId && globalId('Connector', connectorId),
    }),
    connectionId: t.id({
      nullable: true,
      description: 'The connection that it was done to.',
      select: { connectionId: true },
      resolve: ({ connectionId }) => connectionId && globalId('AppUserConnection', connectionId),
    }),
    targetId: t.exposeString('targetId', { nullable: true }),
    details: t.field({
      type: [AuditDetail],
      description:
        'What more there is to know. Where an assistant did it for the actor, `assistant` is what it calls itself.',
      select: { details: true },
      resolve: ({ details }) =>
        Object.entries(details as Record<string, string | string[]>).map(([name, value]) => ({
          name,
          values: [value].flat(),
        })),
    }),
    hash: t.exposeString('hash', { nullable: true }),
  }),
});

const AuditFilterInput = builder.inputType('AuditFilterInput', {
  description: 'Which acts to list; what is left out does not matter.',
  fields: (t) => ({
    acts: t.field({ type: [AuditAct], required: false, description: 'One of these.' }),
    actor: t.string({ required: false, description: 'By this actor, letter by letter.' }),
    appId: t.id({ required: false, description: 'To, or through, this app.' }),
    connectorId: t.id({ required: false, description: 'To, or through, this connector.' }),
    outcome: t.string({ required: false, description: 'With this outcome: OK, or an error code.' }),
    since: t.field({ type: 'DateTime', required: false, description: 'From this instant on.' }),
    until: t.field({ type: 'DateTime', required: false, description: 'Before this instant.' }),
  }),
});

/** A text that may stand in a row; what cannot is looked for, and not found, as nothing. */
const known = (text: string) => (/[\p{Cc}\p{Cs}]/u.test(text) ? '' : text);

function filterOf(input: typeof AuditFilterInput.$inferInput): AuditFilter {
  const { acts, actor, appId, connectorId, outcome, since, until } = input;
  return {
    ...(acts && { acts }),
    ...(typeof actor === 'string' && { actor: known(actor) }),
    ...(typeof appId === 'string' && { appId: idOf('App', appId) ?? '' }),
    ...(typeof connectorId === 'string' && { connectorId: idOf('Connector', connectorId) ?? '' }),
    ...(typeof outcome === 'string' && { outcome: known(outcome) }),
    ...(since && { since }),
    ...(until && { until }),
  };
}

// of the form that the other lists' cursors have: see paging.ts
const cursorOf = ({ at, id }: { at: Date; id: string }) => btoa(`GPC:S:${at.getTime()}.${id}`);

function placeOf(cursor: string | undefined) {
  if (cursor === undefined) return null;
  const [, ms, id] = /^GPC:S:(\d{1,14})\.(.+)$/.exec(atob(cursor)) ?? [];
  if (ms && id) return { at: new Date(Number(ms)), id };
  throw new ValidationError([{ path: 'after', message: 'The cursor is of another list.' }]);
}

type PageArgs = DefaultConnectionArguments & { filter?: typeof AuditFilterInput.$inferInput | null | undefined };

/** A page of one audit. The same page of several is read in one go. */
function auditPage(workspaceId: string, { filter, ...args }: PageArgs, context: GraphqlContext) {
  return resolveCursorConnection(
    { args, defaultSize: 20, maxSize: 100, toCursor: cursorOf },
    ({ after, before, limit, inverted }: ResolveCursorConnectionArgs): Promise<AuditRow[]> => {
      const query = filterOf(filter ?? {});
      const page = { olderThan: placeOf(after), newerThan: placeOf(before), oldestFirst: inverted, limit };
      const { caller, features } = context;
      return batched<string, AuditRow[]>(context, `audit ${JSON.stringify([query, page])}`, (ids) =>
        listAudits(features, caller, ids, query, page),
      ).load(workspaceId);
    },
  );
}

const filterArg = { type: AuditFilterInput, required: false as const, description: 'Which acts to list.' };

builder.prismaObjectField(Workspace, 'audit', (t) =>
  t.connection({
    type: AuditEvent,
    nullable: true,
    description:
      'What was done in the workspace, the latest first. OWNER, ADMIN and the operator; FORBIDDEN for others.',
    select: { id: true },
    args: { filter: t.arg(filterArg) },
    resolve: ({ id }, args, context) => auditPage(id, args, context),
  }),
);

builder.queryField('serviceAudit', (t) =>
  t.connection({
    type: AuditEvent,
    description:
      "What was done to the service as a whole, the latest first: to the operator's OAuth clients. Operator only. What that did to a workspace's connectors is in its own audit as well.",
    args: { filter: t.arg(filterArg) },
    resolve: (_root, args, context) => {
      requireOperator(context.caller);
      return auditPage(serviceAuditId, args, context);
    },
  }),
);
