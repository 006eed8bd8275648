import { z } from 'zod';
import { suggestProviders } from '../providers/suggest.ts';
import { ValidationError } from '../workspaces/errors.ts';
import { codeFor } from './code.ts';
import { defineTool, errorFields, notFound, runOperation, type Tool, type ToolContext, ToolFailure } from './tool.ts';

/** Nothing changes, and asking again answers the same. */
const readOnly = { readOnlyHint: true, idempotentHint: true, openWorldHint: false };

export const workspaceArg = {
  workspaceId: z
    .string()
    .optional()
    .describe('The workspace, by its id. A workspace key has one, which is taken where this is left out.'),
};

export const connectorArg = { connectorId: z.string().describe('The connector, by its id: see list_connectors.') };

const pageArgs = {
  first: z.int().min(1).max(100).default(20).describe('How many to answer at most.'),
  after: z.string().optional().describe('The `nextCursor` of the page before.'),
};

const nextCursor = z.string().nullable().describe('Give it as `after` for the next page; null on the last.');

const connectorSchema = z.object({
  id: z.string().describe('What code names the connector by.'),
  name: z.string(),
  providerKey: z.string(),
  kind: z
    .enum(['APP_USER', 'SHARED'])
    .describe("APP_USER: each user's own account. SHARED: one for everybody in an app."),
  scopes: z.array(z.string()),
  isSetUp: z.boolean().describe('True: ready to use. Ask the person for nothing; put its id into the code.'),
  connectionConfig: z.array(z.object({ name: z.string(), value: z.string() })).describe('Settings of the provider.'),
  clientId: z.string().nullable(),
  redirectUris: z.array(z.string()).describe('To register at the provider.'),
  problem: z.string().nullable().describe('What the provider last refused of it; check_connector says more.'),
});

export const connectorFields = `id name kind scopes connectionConfig { name value } clientId hasClientSecret usesOperatorClient provider { key } redirectUris { uri } problem { code message }`;

interface ConnectorNode {
  provider: { key: string };
  clientId: string | null;
  hasClientSecret: boolean;
  usesOperatorClient: boolean;
  redirectUris: { uri: string }[];
  problem: { message: string } | null;
}

export const shownConnector = connectorSchema;

/** A connector as tools show it. */
export function toConnector(node: unknown): z.infer<typeof connectorSchema> {
  const { provider, clientId, hasClientSecret, usesOperatorClient, redirectUris, problem, ...rest } =
    node as ConnectorNode;
  return connectorSchema.parse({
    ...rest,
    providerKey: provider.key,
    clientId,
    isSetUp: usesOperatorClient || (clientId !== null && hasClientSecret),
    redirectUris: redirectUris.map(({ uri }) => uri),
    problem: problem?.message ?? null,
  });
}

/** The workspace that is meant: the one that is named, or the caller's only one. */
export async function workspaceOf(context: ToolContext, workspaceId: string | undefined): Promise<string> {
  if (workspaceId !== undefined) return workspaceId;
  const own = (await runOperation(context, '{ workspaces(first: 20) { edges { node { id name } } } }', {})) as {
    edges: { node: { id: string; name: string } }[];
  } | null;
  const [only, ...others] = (own?.edges ?? []).map(({ node }) => node);
  if (only && others.length === 0) return only.id;
  const values = [...(only ? [only] : []), ...others].map(({ id, name }) => ({ label: name, value: id }));
  throw new ToolFailure({
    code: 'VALIDATION',
    message: 'Name the workspace.',
    fields: [{ path: 'workspaceId', message: 'There are several, or none: name one by its id.' }],
    remedy: { actor: 'USER', steps: ['Ask the person which workspace is meant.'], values, docsUrl: null },
  });
}

interface Page {
  edges: { node: unknown }[];
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
}

const pageFields = (node: string) => `edges { node { ${node} } } pageInfo { hasNextPage endCursor }`;
const cursorOf = ({ pageInfo }: Page) => (pageInfo.hasNextPage ? pageInfo.endCursor : null);

/** A page of a workspace's connectors. */
export async function readConnectors(context: ToolContext, variables: Record<string, unknown>) {
  const workspace = (await runOperation(
    context,
    `query ($workspaceId: ID!, $first: Int, $after: String, $filter: ConnectorFilter) { workspace(id: $workspaceId) {
      connectors(first: $first, after: $after, filter: $filter) { ${pageFields(connectorFields)} } } }`,
    variables,
  )) as { connectors: Page } | null;
  const { connectors } = workspace ?? notFound('workspace');
  return { connectors: connectors.edges.map(({ node }) => toConnector(node)), nextCursor: cursorOf(connectors) };
}

const scopeSchema = z.object({ scope: z.string(), reason: z.string().describe('What it allows.') });

/** The tools that only look. */
export const readingTools: Tool[] = [
  defineTool('list_providers', {
    title: 'List providers',
    description:
      'The catalogue of services that accounts can be connected at, by name. With `key`: one of them in full, with its permissions (scopes) and what each allows, further settings, and the steps to register an OAuth app there. `custom` stands for any OAuth 2.0 service that is missing.',
    annotations: readOnly,
    input: {
      search: z.string().max(200).optional().describe('Words to look for.'),
      key: z.string().max(100).optional().describe('Answer this one only, in full.'),
      first: pageArgs.first,
      after: pageArgs.after,
    },
    output: z.object({
      providers: z.array(
        z.object({
          key: z.string(),
          name: z.string(),
          description: z.string(),
          operatorClient: z
            .boolean()
            .nullable()
            .describe('True: a SHARED connector there needs no client id and secret of its own.'),
          exampleUses: z.array(z.string()).optional(),
          scopes: z.array(z.object({ scope: z.string(), description: z.string() })).optional(),
          configFields: z
            .array(z.object({ name: z.string(), description: z.string(), required: z.boolean(), pattern: z.string() }))
            .optional()
            .describe('Settings that add_connector needs in `connectionConfig`.'),
          setupSteps: z.array(z.string()).optional(),
          docsUrl: z.string().optional(),
        }),
      ),
      nextCursor,
    }),
    async run({ search, key, first, after }, context) {
      const brief = 'key name description operatorClient';
      const full = `${brief} exampleUses scopes { scope description } configFields { name description required pattern } setupSteps docsUrl`;
      const found = (await runOperation(
        context,
        `query ($search: String) { providers(search: $search) { ${key === undefined ? brief : full} } }`,
        { search: search ?? null },
      )) as unknown as { key: string; name: string; description: string; operatorClient: boolean | null }[];
      const providers =
        key === undefined ? found : found.filter((provider) => provider.key === key.trim().toLowerCase());
      if (key !== undefined && providers.length === 0) {
        throw new ToolFailure({ code: 'NOT_FOUND', message: 'There is no provider with this key.' });
      }
      const from = after === undefined ? 0 : providers.findIndex((provider) => provider.key === after) + 1;
      if (after !== undefined && from === 0) {
        const message = '`after` holds no cursor: give the `nextCursor` of a page, or leave it out.';
        throw new ValidationError([{ path: 'after', message }]);
      }
      const page = providers.slice(from, from + first);
      return { providers: page, nextCursor: from + first < providers.length ? (page.at(-1)?.key ?? null) : null };
    },
  }),

  defineTool('list_connectors', {
    title: 'List connectors',
    description:
      'The connectors of the workspace. Look here first: one that `isSetUp` is used as it is, by its id, and the person is asked for nothing.',
    annotations: readOnly,
    input: {
      ...workspaceArg,
      search: z.string().max(200).optional().describe('What the name holds.'),
      providerKey: z.string().max(100).optional().describe('Those of one provider.'),
      ...pageArgs,
    },
    output: z.object({ connectors: z.array(connectorSchema), nextCursor }),
    run: async ({ workspaceId, search, providerKey, first, after }, context) =>
      readConnectors(context, {
        workspaceId: await workspaceOf(context, workspaceId),
        first,
        after: after ?? null,
        filter: { ...(search !== undefined && { search }), ...(providerKey !== undefined && { providerKey }) },
      }),
  }),

  defineTool('suggest_connector', {
    title: 'Suggest a connector',
    description:
      'From a need in words ("show each user their next meetings") to providers, the least permission to begin with and what it allows, the connectors that are set up already, and the choice that the person has to make.',
    annotations: readOnly,
    input: { ...workspaceArg, need: z.string().min(1).max(1000).describe('What the app should do, in words.') },
    output: z.object({
      suggestions: z.array(
        z.object({
          providerKey: z.string(),
          name: z.string(),
          because: z.array(z.string()),
          scopes: z.array(scopeSchema).describe('To begin with.'),
          otherScopes: z.array(scopeSchema).describe('Add one only for something that the app does.'),
          alreadySetUp: z.array(connectorSchema).describe('Use one of these, if there is one that fits.'),
        }),
      ),
      kinds: z
        .array(z.object({ kind: z.string(), meaning: z.string() }))
        .describe('Ask the person which; never choose for them.'),
    }),
    async run({ workspaceId, need }, context) {
      const id = await workspaceOf(context, workspaceId);
      const suggestions = [];
      for (const { provider, ...rest } of suggestProviders(need)) {
        const filter = { providerKey: provider.key };
        const { connectors } = await readConnectors(context, { workspaceId: id, first: 20, after: null, filter });
        const alreadySetUp = connectors.filter(({ isSetUp }) => isSetUp);
        suggestions.push({ providerKey: provider.key, name: provider.name, ...rest, alreadySetUp });
      }
      return { suggestions, kinds };
    },
  }),

  defineTool('list_apps', {
    title: 'List apps',
    description:
      "The apps of the workspace, each with its redirect URIs, ready to paste into a provider's settings. A custom connector has redirect URIs of its own: list_connectors shows them.",
    annotations: readOnly,
    input: { ...workspaceArg, ...pageArgs },
    output: z.object({
      apps: z.array(
        z.object({
          id: z.string(),
          name: z.string(),
          redirectUris: z.array(z.object({ kind: z.string(), uri: z.string() })),
        }),
      ),
      nextCursor,
    }),
    async run({ workspaceId, first, after }, context) {
      const workspace = (await runOperation(
        context,
        `query ($workspaceId: ID!, $first: Int, $after: String) { workspace(id: $workspaceId) {
          apps(first: $first, after: $after) { ${pageFields('id name redirectUris { kind uri }')} } } }`,
        { workspaceId: await workspaceOf(context, workspaceId), first, after: after ?? null },
      )) as { apps: Page } | null;
      const { apps } = workspace ?? notFound('workspace');
      return { apps: apps.edges.map(({ node }) => node as never), nextCursor: cursorOf(apps) };
    },
  }),

  defineTool('connection_overview', {
    title: 'Connections of a connector',
    description:
      'How the connections through a connector are, and which connect attempts of the last day came to nothing, with what to do. It names no user and no account.',
    annotations: readOnly,
    input: {
      ...connectorArg,
      status: z.enum(['CONNECTED', 'RECONNECT_REQUIRED', 'NOT_CONNECTED', 'UNAVAILABLE']).optional(),
      ...pageArgs,
    },
    output: z.object({
      connections: z.array(
        z.object({
          id: z.string(),
          status: z.string(),
          reconnectReason: z.string().nullable(),
          missingScopes: z.array(z.string()),
          connectedAt: z.string().nullable(),
          lastRefreshedAt: z.string().nullable(),
        }),
      ),
      flowProblems: z.array(
        z.object({
          redirectUri: z.string(),
          startedAt: z.string(),
          code: z.string(),
          message: z.string(),
          steps: z.array(z.string()),
        }),
      ),
      nextCursor,
    }),
    async run({ connectorId, status, first, after }, context) {
      const connector = (await runOperation(
        context,
        `query ($connectorId: ID!, $first: Int, $after: String, $filter: ConnectionFilter) { connector(id: $connectorId) {
          flowProblems { redirectUri startedAt problem { code message remedy { steps } } }
          connections(first: $first, after: $after, filter: $filter) {
            ${pageFields('id status reconnectReason missingScopes connectedAt lastRefreshedAt')} } } }`,
        { connectorId, first, after: after ?? null, filter: { ...(status !== undefined && { status }) } },
      )) as {
        connections: Page;
        flowProblems: {
          redirectUri: string;
          startedAt: string;
          problem: { code: string; message: string; remedy: { steps: string[] } | null };
        }[];
      } | null;
      const { connections, flowProblems } = connector ?? notFound('connector');
      return {
        connections: connections.edges.map(({ node }) => node as never),
        flowProblems: flowProblems.map(({ problem, ...flow }) => {
          const { code, message, remedy } = problem;
          return { ...flow, code, message, steps: remedy?.steps ?? [] };
        }),
        nextCursor: cursorOf(connections),
      };
    },
  }),

  defineTool('check_connector', {
    title: 'Check a connector',
    description:
      "Tries a connector's settings at its provider before any user does: whether its addresses answer, whether it takes the client, the redirect URIs to register, and what to do about each problem. At most six times at once, then every ten seconds.",
    annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: true },
    input: connectorArg,
    output: z.object({
      client: z.string().describe('ACCEPTED, REFUSED, or UNKNOWN where the provider does not let one ask.'),
      endpoints: z.array(z.object({ name: z.string(), url: z.string(), reachable: z.boolean() })),
      redirectUris: z.array(z.object({ kind: z.string(), uri: z.string(), acceptance: z.string() })),
      problems: z.array(
        z.object({
          code: z.string(),
          message: z.string(),
          remedy: z
            .object({
              actor: z.string(),
              steps: z.array(z.string()),
              values: z.array(z.object({ label: z.string(), value: z.string() })),
            })
            .nullable(),
        }),
      ),
    }),
    run: async ({ connectorId }, context) =>
      (await runOperation(
        context,
        `mutation ($input: CheckConnectorInput!) { checkConnector(input: $input) { __typename ... on CheckConnectorPayload {
          client endpoints { name url reachable } redirectUris { kind uri acceptance }
          problems { code message remedy { actor steps values { label value } } } } ${errorFields.plain} } }`,
        { input: { connectorId } },
      )) as never,
  }),

  defineTool('code_for', {
    title: 'Code for a connector',
    description:
      "Snippets with the connector's id in them: for the app's page (a Connect button) and for its backend function (a call with the user's token). Tokens reach backend functions only.",
    annotations: readOnly,
    input: connectorArg,
    output: z.object({
      connectorId: z.string(),
      snippets: z.array(z.object({ where: z.enum(['frontend', 'backend']), language: z.string(), code: z.string() })),
      notes: z.array(z.string()),
    }),
    async run({ connectorId }, context) {
      const connector = (await runOperation(
        context,
        'query ($connectorId: ID!) { connector(id: $connectorId) { id kind provider { docsUrl } } }',
        { connectorId },
      )) as { id: string; kind: 'APP_USER' | 'SHARED' } | null;
      return codeFor(connector ?? notFound('connector'), context.features.publicUrl);
    },
  }),
];

export const kinds = [
  { kind: 'APP_USER', meaning: 'Every user of the app connects an account of their own.' },
  { kind: 'SHARED', meaning: 'A member of the workspace connects one account, which everybody in an app uses.' },
];
