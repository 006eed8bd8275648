import { z } from 'zod';
import type { CustomProvider } from '../connectors/connector.ts';
import { assertMayAdd } from '../connectors/manage.ts';
import { connectorsFor, type Proposal, requestConnector, requestStatus } from '../connectors/request.ts';
import { globalId, idOf } from '../lib/global-id.ts';
import {
  connectorArg,
  connectorFields,
  kinds,
  readConnectors,
  shownConnector,
  toConnector,
  workspaceArg,
  workspaceOf,
} from './reading.ts';
import { defineTool, errorFields, runOperation, type Tool, type ToolContext, ToolFailure } from './tool.ts';

const settings = z
  .array(z.strictObject({ name: z.string(), value: z.string() }))
  .optional()
  .describe('Further settings that the provider needs: see its `configFields`. Never a secret.');

const clientAuthentication = z
  .enum(['CLIENT_SECRET_POST', 'CLIENT_SECRET_BASIC', 'CLIENT_SECRET_BASIC_RAW', 'NONE'])
  .default('CLIENT_SECRET_POST');

const customArg = z
  .union([
    z.strictObject({ issuer: z.url().describe('Found by OIDC Discovery or RFC 8414.'), clientAuthentication }),
    z.strictObject({
      authorizationUrl: z.url(),
      tokenUrl: z.url(),
      revocationUrl: z.url().optional(),
      userinfoUrl: z.url().optional(),
      scopeSeparator: z.string().default(' '),
      clientAuthentication,
    }),
  ])
  .optional()
  .describe('For the provider "custom" only: its issuer, or its endpoints.');

function customOf(custom: z.infer<typeof customArg>): CustomProvider | null {
  if (!custom) return null;
  if ('issuer' in custom) return { type: 'discovery', extraAuthorizationParams: [], ...custom };
  const { revocationUrl = null, userinfoUrl = null, ...given } = custom;
  return { type: 'endpoints', extraAuthorizationParams: [], ...given, revocationUrl, userinfoUrl };
}

const requestSchema = z.object({
  requestId: z.string().describe('Ask connector_request_status with it how it stands.'),
  link: z
    .string()
    .nullable()
    .describe('Give it to the person as it is, to open it themselves; null where their client has shown it to them.'),
  expiresAt: z.string(),
  instructions: z.string(),
});

/** Asks the person for what the assistant must not know, on a page of the service's own. */
async function askForSecret(context: ToolContext, proposal: Proposal): Promise<z.infer<typeof requestSchema>> {
  const { features, caller, assistant, ask } = context;
  const { request, link } = await requestConnector(features, caller, assistant, proposal);
  const url = link.reveal();
  const message = 'Enter the client id and client secret on this page. They do not reach the chat.';
  const isOpened = ask.open ? await ask.open(message, url, request.id) : null;
  if (isOpened === false) {
    throw new ToolFailure({
      code: 'CONSENT_DENIED',
      message: 'The person did not want to open the page. Nothing was added or changed.',
      remedy: { actor: 'USER', steps: ['Ask the person whether they want to go on.'], values: [], docsUrl: null },
    });
  }
  return {
    requestId: request.id,
    link: isOpened ? null : url,
    expiresAt: request.expiresAt.toISOString(),
    instructions:
      'The person enters the client id and client secret there and approves, rejects, or leaves it for later. Never ask for a secret in the chat, and do not open the link yourself.',
  };
}

/** Whose account it is to be is the person's choice: they are asked past the model, where their client can do it. */
async function chooseKind(
  context: ToolContext,
  proposed: 'APP_USER' | 'SHARED' | undefined,
): Promise<'APP_USER' | 'SHARED'> {
  const options = kinds.map(({ kind, meaning }) => ({ const: kind, title: meaning }));
  const message = 'Whose account should the connector connect?';
  const choice = context.ask.choose
    ? await context.ask.choose(message, { title: 'Whose account', options })
    : (proposed ?? null);
  if (choice === 'APP_USER' || choice === 'SHARED') return choice;
  throw new ToolFailure({
    code: 'VALIDATION',
    message: 'The person has not chosen whose account the connector connects.',
    fields: [{ path: 'kind', message: 'APP_USER or SHARED, as the person says.' }],
    remedy: {
      actor: 'USER',
      steps: [
        'Ask the person: an account of each user’s own (APP_USER), or one that everybody in an app shares (SHARED)? Do not choose for them.',
        'Call again with their answer as `kind`.',
      ],
      values: [],
      docsUrl: null,
    },
  });
}

/** The person's yes to what would touch others: past the model where their client can do it, else the assistant's word for it. */
async function confirmed(context: ToolContext, error: unknown): Promise<boolean> {
  const isAsked = error instanceof ToolFailure && error.failure.code === 'CONFIRMATION_REQUIRED';
  if (!isAsked || !context.ask.choose) throw error;
  const options = [
    { const: 'no', title: 'No, leave everything as it is' },
    { const: 'yes', title: 'Yes, go on' },
  ];
  if ((await context.ask.choose(error.failure.message, { title: 'Go on?', options })) === 'yes') return true;
  throw error;
}

/** The tools that change something, or ask a person to. */
export const changingTools: Tool[] = [
  defineTool('add_connector', {
    title: 'Add a connector',
    description:
      'Sets up a connector, for all apps of the workspace. One that is there already with these permissions is answered instead, and the person is asked for nothing. Otherwise the person chooses whose account it connects, and enters client id and client secret on a page of this service: the answer has its link, and nothing is added before they approve. OWNER and ADMIN.',
    annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
    input: {
      ...workspaceArg,
      providerKey: z.string().max(100).describe('A key from list_providers, or "custom".'),
      kind: z
        .enum(['APP_USER', 'SHARED'])
        .optional()
        .describe("The person's own choice, never yours. Left out, they are asked."),
      name: z.string().max(200).optional().describe("What the team will know it by; the provider's name by default."),
      scopes: z.array(z.string()).describe('What to ask for: the least that the app needs.'),
      connectionConfig: settings,
      custom: customArg,
      another: z.boolean().default(false).describe('True: a further one, although one that would do is set up.'),
    },
    output: z.object({
      status: z.enum(['ALREADY_SET_UP', 'WAITING_FOR_PERSON']),
      connector: shownConnector.optional().describe('ALREADY_SET_UP: use it.'),
      request: requestSchema.optional().describe('WAITING_FOR_PERSON: what the person has to do.'),
    }),
    async run(args, context) {
      const { providerKey, scopes, connectionConfig = [] } = args;
      const workspaceId = await workspaceOf(context, args.workspaceId);
      const custom = customOf(args.custom);
      const fitting = args.another
        ? null
        : await findFitting(context, { ...args, workspaceId, connectionConfig, custom });
      if (fitting) return { status: 'ALREADY_SET_UP' as const, connector: fitting };
      const { features, caller } = context;
      const id = idOf('Workspace', workspaceId) ?? '';
      await assertMayAdd(features, caller, id); // before the person is asked for anything
      const kind = await chooseKind(context, args.kind);
      const name = args.name ?? (await providerName(context, providerKey));
      const input = {
        workspaceId: id,
        providerKey,
        kind,
        name,
        scopes,
        connectionConfig,
        custom,
      };
      return { status: 'WAITING_FOR_PERSON' as const, request: await askForSecret(context, { type: 'add', input }) };
    },
  }),

  defineTool('edit_connector', {
    title: 'Edit a connector',
    description:
      'Changes a connector in place: name, permissions, settings. Where users would have to connect again, the first call answers whom it concerns and changes nothing. With `newClient`, and for other addresses, the person enters client id and client secret on a page of this service. OWNER and ADMIN.',
    annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
    input: {
      ...connectorArg,
      name: z.string().max(200).optional(),
      scopes: z.array(z.string()).optional().describe('All permissions from now on.'),
      connectionConfig: settings,
      custom: customArg,
      newClient: z
        .boolean()
        .default(false)
        .describe('True: the person is to enter another client id or client secret.'),
      confirm: z.boolean().default(false).describe('True only when the person, told whom it concerns, has said yes.'),
    },
    output: z.object({
      status: z.enum(['CHANGED', 'WAITING_FOR_PERSON']),
      connector: shownConnector.optional(),
      request: requestSchema.optional(),
      notices: z.array(z.string()).optional(),
    }),
    async run({ connectorId, name, scopes, connectionConfig, custom, newClient, confirm }, context) {
      if (newClient || connectionConfig || custom) {
        const input = {
          connectorId: idOf('Connector', connectorId) ?? '',
          name: name ?? null,
          scopes: scopes ?? null,
          connectionConfig: connectionConfig ?? null,
          custom: customOf(custom),
        };
        return { status: 'WAITING_FOR_PERSON' as const, request: await askForSecret(context, { type: 'edit', input }) };
      }
      const input = { connectorId, ...(name !== undefined && { name }), ...(scopes !== undefined && { scopes }) };
      if (!confirm) await previewEdit(context, input).catch((error: unknown) => confirmed(context, error));
      const edited = (await runOperation(
        context,
        `mutation ($input: EditConnectorInput!) { editConnector(input: $input) { __typename
          ... on EditConnectorPayload { connector { ${connectorFields} } notices { message } } ${errorFields.plain} } }`,
        { input },
      )) as unknown as { connector: unknown; notices: { message: string }[] };
      const notices = edited.notices.map(({ message }) => message);
      return { status: 'CHANGED' as const, connector: toConnector(edited.connector), notices };
    },
  }),

  defineTool('delete_connector', {
    title: 'Delete a connector',
    description:
      'Deletes a connector for good: every user of every app is disconnected, and each grant revoked. The first call changes nothing and answers whom it concerns; tell the person, and repeat it with `confirm` when they say yes. OWNER and ADMIN.',
    annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: true },
    input: {
      ...connectorArg,
      confirm: z.boolean().default(false).describe('True only when the person, told whom it concerns, has said yes.'),
    },
    output: z.object({ deletedConnectorId: z.string() }),
    async run({ connectorId, confirm }, context) {
      const remove = async (isConfirmed: boolean) =>
        (await runOperation(
          context,
          `mutation ($input: DeleteConnectorInput!) { deleteConnector(input: $input) { __typename
            ... on DeleteConnectorPayload { deletedConnectorId } ${errorFields.confirmable} } }`,
          { input: { connectorId, confirm: isConfirmed } },
        )) as { deletedConnectorId: string };
      if (confirm) return remove(true);
      return remove(false).catch(async (error: unknown) => remove(await confirmed(context, error)));
    },
  }),

  defineTool('connector_request_status', {
    title: 'How a request for a connector stands',
    description:
      'Whether the person has approved, rejected or put off what add_connector or edit_connector asked them for. APPROVED has the connector. OPEN and POSTPONED: they have not decided yet; ask again when they say so.',
    annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
    input: { requestId: z.string().max(100) },
    output: z.object({
      status: z.enum(['OPEN', 'POSTPONED', 'APPROVED', 'REJECTED', 'EXPIRED']),
      expiresAt: z.string(),
      connector: shownConnector.nullable(),
    }),
    async run({ requestId }, context) {
      const request = await requestStatus(context.features, context.caller, requestId);
      const { status, expiresAt, connectorId } = request;
      const connector =
        status === 'APPROVED'
          ? await runOperation(context, `query ($id: ID!) { connector(id: $id) { ${connectorFields} } }`, {
              id: globalId('Connector', connectorId),
            })
          : null;
      return { status, expiresAt: expiresAt.toISOString(), connector: connector && toConnector(connector) };
    },
  }),
];

/** @throws ToolFailure CONFIRMATION_REQUIRED where an edit would ask users to connect again */
async function previewEdit(context: ToolContext, input: Record<string, unknown>): Promise<void> {
  const preview = (await runOperation(
    context,
    `query ($input: PreviewConnectorEditInput!) { previewConnectorEdit(input: $input) { __typename
      ... on ConnectorEditPreview { affectedUsers affectedApps { id name } affectedConnections { count } reconnectReason }
      ${errorFields.plain} } }`,
    { input },
  )) as unknown as {
    affectedUsers: number;
    affectedApps: { id: string; name: string }[];
    affectedConnections: { count: number }[];
    reconnectReason: string | null;
  };
  const { affectedUsers, affectedApps, affectedConnections, reconnectReason } = preview;
  const connections = affectedConnections.reduce((sum, app) => sum + app.count, 0);
  if (connections === 0) return;
  throw new ToolFailure({
    code: 'CONFIRMATION_REQUIRED',
    message: `${connections} connections in ${affectedApps.length} apps would have to be made again (${reconnectReason}). Nothing has changed yet.`,
    affectedUsers,
    affectedApps,
    remedy: {
      actor: 'ADMIN',
      steps: [
        'Tell the person how many users in which apps it concerns.',
        'Repeat the call with confirm: true to go on.',
      ],
      values: [],
      docsUrl: null,
    },
  });
}

/** A connector of the same service that is set up with these permissions and settings; of whichever kind, where none is proposed. */
async function findFitting(
  context: ToolContext,
  wanted: Pick<Proposal['input'], 'custom'> & {
    workspaceId: string;
    providerKey: string;
    kind?: 'APP_USER' | 'SHARED' | undefined;
    scopes: string[];
    connectionConfig: { name: string; value: string }[];
  },
): Promise<z.infer<typeof shownConnector> | null> {
  const { workspaceId, kind, custom, connectionConfig } = wanted;
  const providerKey = wanted.providerKey.trim().toLowerCase();
  const filter = { providerKey, ...(kind && { kind }) };
  const { connectors } = await readConnectors(context, { workspaceId, first: 100, after: null, filter });
  const scopes = wanted.scopes.map((scope) => scope.trim()).filter(Boolean);
  const fitting = connectors.filter(
    (one) =>
      one.isSetUp &&
      scopes.every((scope) => one.scopes.includes(scope)) &&
      connectionConfig.every(({ name, value }) =>
        one.connectionConfig.some((setting) => setting.name === name && setting.value === value.trim()),
      ),
  );
  if (providerKey !== 'custom') return fitting[0] ?? null;
  // two custom connectors are of two services, mostly
  const ids = custom ? await connectorsFor(context.features, fitting.map(rowId), custom) : [];
  return fitting.find((connector) => ids.includes(rowId(connector))) ?? null;
}

const rowId = ({ id }: { id: string }) => idOf('Connector', id) ?? '';

async function providerName(context: ToolContext, providerKey: string): Promise<string> {
  const providers = (await runOperation(context, '{ providers { key name } }', {})) as unknown as {
    key: string;
    name: string;
  }[];
  return providers.find(({ key }) => key === providerKey.trim().toLowerCase())?.name ?? providerKey;
}
