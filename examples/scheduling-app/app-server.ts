import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { SignJWT } from 'jose';
import { bundleClient } from './client-bundle.ts';
import { forwardRequest, forwardUpgrade } from './forward.ts';
import { readTeamEvents } from './team-events.ts';
import type { TeamLeadTokens } from './team-leads.ts';
import { readUpcomingEvents, type Source } from './upcoming-events.ts';

export interface AppIdentity {
  issuer: string;
  audience: string;
  /** The `identitySecret` that `createApp` answered. */
  secret: string;
}

export interface SchedulingAppOptions {
  /** 0 takes any free port. */
  port: number;
  /** Where the connector service listens. */
  serviceUrl: string;
  appId: string;
  appKey: string;
  identity: AppIdentity;
  /** What the app reads through which connector. */
  sources: ReadonlyMap<string, Source>;
  /** The connector whose account the whole team shares, its calendar, and how leads are signed in to the workspace. */
  team: { connectorId: string; eventsUrl: string; tokens: TeamLeadTokens };
  /** How long an identity token lives. */
  identityTokenSeconds?: number;
}

export interface SchedulingApp {
  url: string;
  stop: () => Promise<void>;
}

export interface Person {
  id: string;
  name: string;
  /** Whether the person looks after what the whole team shares. */
  isLead: boolean;
}

export const PEOPLE: readonly Person[] = [
  { id: 'person-one', name: 'Person one', isLead: false },
  { id: 'person-two', name: 'Person two', isLead: false },
  { id: 'lead-one', name: 'Lead one', isLead: true },
  { id: 'lead-two', name: 'Lead two', isLead: true },
];

const SESSION_COOKIE = 'scheduling_session';

/** The client library in one file, as an app's own build makes it. */
const CLIENT_LIBRARY = 'app-user-connectors.js';

const PAGE_FILES: Readonly<Record<string, { file: string; type: string }>> = {
  '/': { file: 'index.html', type: 'text/html; charset=utf-8' },
  '/app.js': { file: 'app.js', type: 'text/javascript; charset=utf-8' },
  '/connectors.js': { file: 'connectors.js', type: 'text/javascript; charset=utf-8' },
  '/team-channel.js': { file: 'team-channel.js', type: 'text/javascript; charset=utf-8' },
  '/subscriptions.js': { file: 'subscriptions.js', type: 'text/javascript; charset=utf-8' },
  [`/${CLIENT_LIBRARY}`]: { file: CLIENT_LIBRARY, type: 'text/javascript; charset=utf-8' },
  '/style.css': { file: 'style.css', type: 'text/css; charset=utf-8' },
};

/** An identity token as the service expects it of this app: HS256, keyed with the secret's UTF-8 bytes. */
export function issueIdentityToken(identity: AppIdentity, person: Person, lifetimeSeconds: number): Promise<string> {
  const issuedAt = Math.floor(Date.now() / 1000);
  return new SignJWT({ name: person.name })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setIssuer(identity.issuer)
    .setAudience(identity.audience)
    .setSubject(person.id)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + lifetimeSeconds)
    .sign(new TextEncoder().encode(identity.secret));
}

/** The example app on an origin of its own: its page, its sign-in, its backend function, and the way to the service. */
export async function startSchedulingApp(options: SchedulingAppOptions): Promise<SchedulingApp> {
  const serviceUrl = new URL(options.serviceUrl);
  const sessions = new Map<string, Person>();
  const upgraded = new Set<Duplex>();
  const clientLibrary = await bundleClient();

  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    if (belongsToService(pathname)) {
      forwardRequest(serviceUrl, request, response);
      return;
    }
    answer({ ...options, clientLibrary }, sessions, pathname, request, response).catch((error: unknown) => {
      console.error('scheduling app:', error);
      if (response.headersSent) response.destroy();
      else sendJson(response, 500, failure('INTERNAL', 'The app could not do this. Try again in a moment.'));
    });
  });

  server.on('upgrade', (request, socket, head) => {
    if (!belongsToService(new URL(request.url ?? '/', 'http://localhost').pathname)) {
      socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n');
      return;
    }
    for (const side of [socket, forwardUpgrade(serviceUrl, request, socket, head)]) {
      upgraded.add(side);
      side.on('close', () => upgraded.delete(side));
    }
  });

  await listen(server, options.port);
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
        for (const side of upgraded) side.destroy();
      }),
  };
}

function belongsToService(pathname: string): boolean {
  return pathname === '/graphql' || pathname.startsWith('/api/external-auth/');
}

async function answer(
  options: SchedulingAppOptions & { clientLibrary: string },
  sessions: Map<string, Person>,
  pathname: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const route = `${request.method} ${pathname}`;
  if (route === 'GET /session') return answerSession(options, sessions, request, response);
  if (route === 'POST /session') return signIn(sessions, request, response);
  if (route === 'DELETE /session') return signOut(sessions, request, response);
  if (route === 'POST /functions/upcoming-events') return answerUpcomingEvents(options, request, response);

  if (route === 'POST /functions/team-events') return answerTeamEvents(options, sessions, request, response);
  if (route === 'GET /.well-known/jwks.json') return sendJson(response, 200, options.team.tokens.jwks);

  const page = request.method === 'GET' || request.method === 'HEAD' ? PAGE_FILES[pathname] : undefined;
  if (!page) return sendJson(response, 404, failure('NOT_FOUND', 'There is nothing at this address.'));
  const isLibrary = page.file === CLIENT_LIBRARY;
  const content = isLibrary ? options.clientLibrary : await readFile(new URL(`./page/${page.file}`, import.meta.url));
  response.writeHead(200, {
    'content-type': page.type,
    'cache-control': 'no-cache',
    'content-security-policy':
      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; " +
      "form-action 'none'; frame-ancestors 'none'",
    'referrer-policy': 'same-origin',
    'x-content-type-options': 'nosniff',
  });
  response.end(request.method === 'HEAD' ? undefined : content);
}

async function answerSession(
  options: SchedulingAppOptions,
  sessions: Map<string, Person>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const person = sessions.get(sessionId(request));
  if (!person) return sendJson(response, 200, { person: null, people: PEOPLE });
  const expiresInSeconds = options.identityTokenSeconds ?? 3600;
  const identityToken = await issueIdentityToken(options.identity, person, expiresInSeconds);
  const { connectorId, tokens } = options.team;
  const team = person.isLead && { connectorId, memberToken: await tokens.sign(person, expiresInSeconds) };
  sendJson(response, 200, { person, appId: options.appId, identityToken, expiresInSeconds, ...(team && { team }) });
}

async function signIn(
  sessions: Map<string, Person>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { personId } = await readJson(request);
  const person = PEOPLE.find(({ id }) => id === personId);
  if (!person) return sendJson(response, 422, failure('VALIDATION', 'Choose one of the people on the sign-in page.'));
  const id = randomBytes(24).toString('base64url');
  sessions.set(id, person);
  response.setHeader('set-cookie', `${SESSION_COOKIE}=${id}; Path=/; HttpOnly; SameSite=Lax`);
  sendJson(response, 200, { person });
}

function signOut(sessions: Map<string, Person>, request: IncomingMessage, response: ServerResponse): void {
  sessions.delete(sessionId(request));
  response.setHeader('set-cookie', `${SESSION_COOKIE}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0`);
  sendJson(response, 200, { person: null });
}

async function answerUpcomingEvents(
  options: SchedulingAppOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { connectorId } = await readJson(request);
  if (typeof connectorId !== 'string') {
    return sendJson(response, 422, failure('VALIDATION', 'Send { "connectorId": "…" }.'));
  }
  const asked = { headers: headersOf(request) };
  const { status, body } = await readUpcomingEvents(asked, options, connectorId);
  sendJson(response, status, body);
}

async function answerTeamEvents(
  options: SchedulingAppOptions,
  sessions: Map<string, Person>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (!sessions.has(sessionId(request))) {
    return sendJson(response, 401, failure('UNAUTHENTICATED', 'Sign in first.'));
  }
  const asked = { headers: headersOf(request) };
  const { status, body } = await readTeamEvents(asked, { ...options, ...options.team });
  sendJson(response, status, body);
}

/** The headers as web APIs have them: what a backend function of most platforms gets. */
function headersOf(request: IncomingMessage): Headers {
  const headers = new Headers();
  for (const [name, values = []] of Object.entries(request.headersDistinct)) {
    for (const value of values) headers.append(name, value);
  }
  return headers;
}

function sessionId(request: IncomingMessage): string {
  return new RegExp(`(?:^|; )${SESSION_COOKIE}=([^;]+)`).exec(request.headers.cookie ?? '')?.[1] ?? '';
}

/** A JSON body, or nothing: a form of another site cannot send this content type without asking first. */
async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  if (!request.headers['content-type']?.startsWith('application/json')) return {};
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk;
    if (text.length > 10_000) return {};
  }
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

function failure(code: string, message: string): { error: { code: string; message: string; steps: string[] } } {
  return { error: { code, message, steps: [] } };
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' });
  response.end(JSON.stringify(body));
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, 'localhost', () => {
      server.off('error', reject);
      resolve();
    });
  });
}
