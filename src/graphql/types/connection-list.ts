import { resolveCursorConnection } from '@pothos/plugin-relay';
import { type ConnectionQuery, type Listed, listConnections } from '../../connections/list.ts';
import { idOf } from '../../lib/global-id.ts';
import { batched } from '../batch.ts';
import { builder } from '../builder.ts';
import type { GraphqlContext } from '../context.ts';
import { cursorOf, idOfCursor } from '../paging.ts';
import { AppUserConnection } from './connection.ts';
import { Connector } from './connector.ts';
import { ConnectionStatus } from './enums.ts';
import { filterArg } from './workspace.ts';

const ConnectionFilter = builder.inputType('ConnectionFilter', {
  description: 'Which connections to list: those that fit all that is given.',
  fields: (t) => ({
    status: t.field({ type: ConnectionStatus, required: false, description: 'What they are at this instant.' }),
    appId: t.id({ required: false, description: 'The app in which they were made.' }),
  }),
});

/** The same page of several connectors' lists is read in one go. */
function pageLoader(context: GraphqlContext, query: ConnectionQuery) {
  return batched(context, `connections ${JSON.stringify(query)}`, (connectors: readonly Listed[]) =>
    listConnections(context.features, connectors, query),
  );
}

builder.prismaObjectField(Connector, 'connections', (t) =>
  t.connection(
    {
      type: AppUserConnection,
      authScopes: { member: true },
      description: 'Who is, or was, connected through it: account and status, never a token. By id. For members.',
      args: { filter: t.arg({ type: ConnectionFilter, ...filterArg }) },
      select: { workspace: { select: { plan: true, switchedOff: { select: { providerKey: true, kind: true } } } } },
      resolve: (connector, { filter, ...args }, context) =>
        resolveCursorConnection<Promise<string[]>>({ args, toCursor: cursorOf }, ({ before, after, limit, inverted }) =>
          pageLoader(context, {
            status: filter?.status ?? null,
            // an id that is none names no app
            appId: typeof filter?.appId === 'string' ? (idOf('App', filter.appId) ?? '') : null,
            after: after === undefined ? null : idOfCursor(after),
            before: before === undefined ? null : idOfCursor(before),
            limit,
            descending: inverted,
          }).load(connector),
        ),
    },
    { name: 'AppUserConnectionPage', description: 'A page of connections.' },
    { name: 'AppUserConnectionEdge', description: 'An entry of a page of connections.' },
  ),
);
