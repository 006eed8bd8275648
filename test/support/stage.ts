import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import type { Overrides } from '../../src/app.ts';
import {
  addTestConnector,
  createTestApp,
  createWorkspace,
  field,
  type Service,
  startProvider,
  startService,
  type TestApp,
  type TestConnector,
  type TestWorkspace,
} from './harness.ts';
import { type Browser, connectAppUser, createBrowser } from './journey.ts';
import type { CalendarProvider } from './local-provider.ts';

/** A service with one app, and one connector at a real provider. */
export interface Stage {
  service: Service;
  workspace: TestWorkspace;
  app: TestApp;
  provider: CalendarProvider;
  connector: TestConnector;
}

export interface StageOptions {
  /** A service that stands already. */
  service?: Service;
  overrides?: Overrides;
  origins?: { kind: string; origin: string }[];
  scopes?: string[];
  accessTokenSeconds?: number;
  kind?: 'APP_USER' | 'SHARED';
}

export async function setStage(options: StageOptions = {}): Promise<Stage> {
  const service = options.service ?? (await startService({}, options.overrides));
  const workspace = await createWorkspace(service);
  const app = await createTestApp(service, workspace, options.origins);
  const provider = await startProvider({
    accessTokenSeconds: options.accessTokenSeconds ?? 3600,
    now: () => service.clock.now(),
  });
  const connector = await addTestConnector(service, workspace, provider, options.scopes, options.kind);
  return { service, workspace, app, provider, connector };
}

/** A flow as the browser that began it knows it. */
export interface StartedFlow {
  redirectUrl: string;
  state: string;
  binding: string;
  expiresAt: string;
  /** What the answer set, as Set-Cookie lines. */
  cookies: string[];
  /** The browser that began, with those cookies. */
  browser: Browser;
}

/** Starts a flow and goes no further. Fails where it does not start. */
export async function startFlow(
  service: Service,
  headers: Record<string, string>,
  connectorId: string,
  input: { returnTo?: string; origin?: string } = {},
  browser: Browser = createBrowser(),
): Promise<StartedFlow> {
  const answer = await connectAppUser(service, headers, { connectorId, ...input });
  const started = field<{ redirectUrl?: string; binding: string; expiresAt: string }>(answer, 'connectAppUser');
  if (started.redirectUrl === undefined) throw new Error(JSON.stringify(answer.data));
  browser.keep(answer.headers);
  const { redirectUrl, binding, expiresAt } = started;
  const state = new URL(redirectUrl).searchParams.get('state') ?? '';
  return { redirectUrl, state, binding, expiresAt, cookies: answer.headers.getSetCookie(), browser };
}

/** The same URL with other parameters; null takes one out. */
export function withParams(url: string, params: Record<string, string | null>): string {
  const changed = new URL(url);
  for (const [name, value] of Object.entries(params)) {
    if (value === null) changed.searchParams.delete(name);
    else changed.searchParams.set(name, value);
  }
  return changed.href;
}

/** A callback as a browser posts it for a provider that was asked for response_mode=form_post. */
export function postCallback(
  service: Service,
  callbackUrl: string,
  headers: Record<string, string> = {},
): Promise<Response> {
  const url = new URL(callbackUrl);
  return service.app.fetch(
    new Request(url.origin + url.pathname, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: url.searchParams.toString(),
    }),
  );
}

/** Where a redirect leads, however it is written. */
export function locationOf(response: Response, base: string): string {
  const location = response.headers.get('location');
  if (location === null) throw new Error(`no redirect: ${response.status}`);
  return new URL(location, base).href;
}

/** The code that the service's own page shows; fails where the answer is no such page. */
export async function pageOf(response: Response): Promise<{ status: number; result: string; html: string }> {
  const html = await response.text();
  const result = /<body data-status="([A-Za-z_]+)">/.exec(html)?.[1];
  if (result === undefined) throw new Error(`no page: ${response.status} ${response.headers.get('location') ?? html}`);
  return { status: response.status, result, html };
}

/** Adds a connector that is complete from the start; `input` says of which provider. */
export async function addCustomConnector(
  service: Service,
  workspace: TestWorkspace,
  input: Record<string, unknown>,
): Promise<string> {
  const added = await service.graphql(
    `mutation ($input: AddConnectorInput!) { addConnector(input: $input) { __typename ... on AddConnectorPayload { connector { id } } ... on UserError { message } ... on ValidationError { fields { path message } } } }`,
    {
      input: {
        workspaceId: workspace.id,
        providerKey: 'custom',
        name: 'Connector',
        clientId: 'client',
        clientSecret: 'secret',
        scopes: ['read'],
        ...input,
      },
    },
    workspace.owner,
  );
  const result = field<{ connector?: { id: string } }>(added, 'addConnector');
  if (!result.connector) throw new Error(JSON.stringify(result));
  return result.connector.id;
}

/** Edits a connector as its workspace's owner. Fails where that is refused. */
export async function editConnector(stage: Stage, input: Record<string, unknown>, connectorId = stage.connector.id) {
  const edited = await stage.service.graphql(
    `mutation ($input: EditConnectorInput!) { editConnector(input: $input) { __typename } }`,
    { input: { connectorId, ...input } },
    stage.workspace.owner,
  );
  if (field(edited, 'editConnector').__typename !== 'EditConnectorPayload') throw new Error(JSON.stringify(edited));
}

/** An HTTP server of the test's own on loopback: what an attacker, or a provider that is not OAuth at all, runs. */
export async function startServer(
  handle: (request: IncomingMessage, response: ServerResponse, url: URL) => void,
): Promise<{ origin: string; paths: string[] }> {
  const paths: string[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://server');
    paths.push(url.pathname);
    handle(request, response, url);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, paths };
}

/** A gate: what waits at it goes on when the test opens it. */
export function gate(): { reached: Promise<void>; wait: () => Promise<void>; open: () => void } {
  let arrive = () => {};
  let open = () => {};
  const reached = new Promise<void>((resolve) => {
    arrive = resolve;
  });
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return {
    reached,
    open,
    wait: () => {
      arrive();
      return opened;
    },
  };
}
