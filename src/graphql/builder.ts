import SchemaBuilder from '@pothos/core';
import DataloaderPlugin from '@pothos/plugin-dataloader';
import ErrorsPlugin from '@pothos/plugin-errors';
import PrismaPlugin from '@pothos/plugin-prisma';
import RelayPlugin from '@pothos/plugin-relay';
import ScopeAuthPlugin from '@pothos/plugin-scope-auth';
import { isObjectType } from 'graphql';
import { DateTimeISOResolver, URLResolver } from 'graphql-scalars';
import { getDatamodel } from '../db/generated/pothos.ts';
import type PrismaTypes from '../db/generated/pothos.ts';
import { globalId, parseGlobalId } from '../lib/global-id.ts';
import { callingApp } from '../workspaces/caller.ts';
import {
  ConfirmationRequiredError,
  ForbiddenError,
  NotFoundError,
  PlanRequiredError,
  RateLimitedError,
  UnauthenticatedError,
  ValidationError,
} from '../workspaces/errors.ts';
import { ConnectorDisabledError, ConnectorIncompleteError } from '../connectors/errors.ts';
import type { GraphqlContext } from './context.ts';

/** The errors that every union may hold. */
const generalErrors = [
  UnauthenticatedError,
  ForbiddenError,
  NotFoundError,
  ValidationError,
  PlanRequiredError,
  ConnectorDisabledError,
  ConnectorIncompleteError,
  RateLimitedError,
];

export const builder = new SchemaBuilder<{
  Context: GraphqlContext;
  PrismaTypes: PrismaTypes;
  DefaultFieldNullability: false;
  DefaultInputFieldRequiredness: true;
  Scalars: {
    DateTime: { Input: Date; Output: Date };
    URL: { Input: URL; Output: URL | string };
    ID: { Input: string; Output: string };
  };
  AuthScopes: { signedIn: boolean; app: boolean; member: boolean };
}>({
  // scope-auth first: what it refuses, the plugins behind it never see
  plugins: [ScopeAuthPlugin, RelayPlugin, ErrorsPlugin, PrismaPlugin, DataloaderPlugin],
  defaultFieldNullability: false,
  defaultInputFieldRequiredness: true,
  scopeAuth: {
    authorizeOnSubscribe: true,
    treatErrorsAsUnauthorized: true,
    authScopes: ({ caller }) => ({
      signedIn: caller.kind !== 'anonymous',
      app: callingApp(caller) !== null,
      member: caller.kind === 'member' || caller.kind === 'operator',
    }),
    unauthorizedError: (_parent, { caller }) =>
      caller.kind === 'anonymous' ? caller.error : new ForbiddenError('This is not for this kind of caller.'),
  },
  relay: {
    clientMutationId: 'omit',
    cursorType: 'String',
    encodeGlobalID: (typename, id) => globalId(typename, String(id)),
    // what is no id of ours is looked up, and not found, like one
    decodeGlobalID: (text) => parseGlobalId(text) ?? { typename: 'Workspace', id: '' },
    nodeQueryOptions: {
      description: 'Anything with an id that the caller may see; null for everything else.',
      args: { id: { description: 'The id.' } },
      authScopes: { signedIn: true },
      // the name of a type that is no node, or of none at all, makes an id like any other that does not exist
      resolve: (_root, { id }, _context, { schema }, resolveNode) => {
        const type = schema.getType(id.typename);
        return isObjectType(type) && type.getInterfaces().some(({ name }) => name === 'Node') ? resolveNode(id) : null;
      },
    },
    nodesQueryOptions: false,
    nodeTypeOptions: { description: 'Anything with an id that is unique over all types.' },
    idFieldOptions: { description: 'Opaque, unique over all types, safe in a URL path.' },
    pageInfoTypeOptions: { description: 'Where a page lies in its list.' },
    pageInfoFieldOptions: { description: 'Where the page lies in the list.' },
    hasNextPageFieldOptions: { description: 'Whether there is more behind this page.' },
    hasPreviousPageFieldOptions: { description: 'Whether there is more before this page.' },
    startCursorFieldOptions: { description: 'The cursor of the first entry.' },
    endCursorFieldOptions: { description: 'The cursor of the last entry, for `after`.' },
    defaultConnectionTypeOptions: { description: 'A page of a list.' },
    defaultEdgeTypeOptions: { description: 'An entry of a page.' },
    edgesFieldOptions: { description: "The page's entries, in order." },
    nodeFieldOptions: { description: 'What the entry holds.' },
    cursorFieldOptions: { description: 'Names the place in the list.' },
    firstArgOptions: { description: 'How many entries from the start; 20 unless given, at most 100.' },
    afterArgOptions: { description: 'Begin behind this cursor.' },
    lastArgOptions: { description: 'How many entries from the end; at most 100.' },
    beforeArgOptions: { description: 'End before this cursor.' },
  },
  errors: {
    directResult: true,
    defaultTypes: generalErrors,
    defaultUnionOptions: {
      name: ({ fieldName }) => `${fieldName[0]?.toUpperCase()}${fieldName.slice(1)}Result`,
      description: 'What was asked for, or one of the errors to expect.',
    },
  },
  prisma: {
    client: ({ features }) => features.db,
    dmmf: getDatamodel(),
    exposeDescriptions: { models: true, fields: true },
    filterConnectionTotalCount: true,
    onUnusedQuery: 'error',
    maxConnectionSize: 100,
    defaultConnectionSize: 20,
  },
});

// it answers text: where an operation answers a Date, making JSON of it takes three times as long
builder.addScalarType('DateTime', DateTimeISOResolver, {
  description:
    'An instant: RFC 3339 text, in UTC with milliseconds where it is answered, such as 2007-12-03T10:15:30.000Z.',
});
builder.addScalarType('URL', URLResolver);

/** For fields whose acts must be confirmed. */
export const confirmable = { types: [ConfirmationRequiredError] };
