import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** A client as each of the servers knows it. Its secret holds what form-encoding changes. */
export interface HostedClient {
  id: string;
  secret: string;
  redirectUris: string[];
}

/** A grant as each of the servers stores it. */
export interface StoredGrant {
  accessToken: string;
  refreshToken: string;
  scopes: string[];
  account: string;
}

export type HostedRequest = IncomingMessage & { query: Record<string, string>; body: Record<string, string> };
export type Route = (request: HostedRequest, response: ServerResponse) => Promise<void> | void;

/** What a host needs to give its OAuth library: the client, the grants that stand, and who is signed in. */
export interface HostState {
  client: HostedClient;
  grants: StoredGrant[];
  /** Whom the next authorization is for: the consent page of these hosts says yes at once. */
  account: string;
}

/** An OAuth library at work behind HTTP. */
export interface HostedServer extends HostState {
  origin: string;
  /** What reached it: the path, and the grant type or token type hint where there is one. */
  requests: string[];
  /** The refresh tokens that were shown to it, in order. */
  refreshTokens: string[];
  /** What the account's endpoint answers to an access token. */
  accountOf(accessToken: string): Promise<number>;
}

export function newToken(): string {
  return randomBytes(24).toString('base64url');
}

/** Serves a library on loopback. `mount` makes its routes once the origin is known; `/me` and whatever else it has are among them. */
export async function host(mount: (origin: string, state: HostState) => Record<string, Route>): Promise<HostedServer> {
  const state: HostState = {
    client: { id: 'client-1', secret: 'se-cr_et~1', redirectUris: [] },
    grants: [],
    account: 'blue',
  };
  const requests: string[] = [];
  const refreshTokens: string[] = [];
  let routes: Record<string, Route> = {};
  const server = createServer((incoming, response) => {
    void (async () => {
      const url = new URL(incoming.url ?? '/', 'http://host');
      let text = '';
      for await (const chunk of incoming) text += String(chunk);
      const body = Object.fromEntries(new URLSearchParams(text));
      const request = Object.assign(incoming, { query: Object.fromEntries(url.searchParams), body });
      requests.push([url.pathname, body.grant_type ?? body.token_type_hint].filter(Boolean).join(' '));
      if (body.refresh_token !== undefined) refreshTokens.push(body.refresh_token);
      const route = routes[url.pathname];
      if (route) await route(request, response);
      else response.writeHead(404).end();
    })().catch((error: unknown) => response.writeHead(500).end(String(error)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  routes = mount(origin, state);
  return Object.assign(state, {
    origin,
    requests,
    refreshTokens,
    async accountOf(accessToken: string) {
      const answer = await fetch(`${origin}/me`, { headers: { authorization: `Bearer ${accessToken}` } });
      await answer.body?.cancel();
      return answer.status;
    },
  });
}

export function send(response: ServerResponse, status: number, headers: Record<string, string>, body: unknown): void {
  response.writeHead(status, { ...headers, 'content-type': 'application/json' }).end(JSON.stringify(body ?? {}));
}

export function bearerOf(request: HostedRequest): string {
  return /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
}
