import type { IncomingMessage } from 'node:http';
import { startServer } from './stage.ts';

type Params = URLSearchParams;

/** What the endpoints answer in place of what the provider knows. Null: nothing, ever. */
interface Answers {
  token?: (asked: Params) => [status: number, body: object] | null;
  authorization?: (asked: Params) => number | null;
  metadata?: () => object | null;
}

/** A provider as simple as can be: it knows one client and some redirect URIs, and remembers what it was asked. */
export async function startSmallProvider(answers: Answers = {}) {
  const client = { clientId: 'client', clientSecret: 'secret' };
  const redirectUris: string[] = [];
  const asked: { path: string; params: Params }[] = [];

  const token = (params: Params): [number, object] => {
    const isClient = params.get('client_id') === client.clientId && params.get('client_secret') === client.clientSecret;
    return isClient ? [400, { error: 'invalid_grant' }] : [401, { error: 'invalid_client' }];
  };
  const authorization = (params: Params) => (redirectUris.includes(params.get('redirect_uri') ?? '') ? 302 : 400);
  const metadata = () => ({
    issuer: origin,
    authorization_endpoint: `${origin}/authorize`,
    token_endpoint: `${origin}/token`,
    authorization_response_iss_parameter_supported: true,
  });

  async function answer(request: IncomingMessage, url: URL): Promise<[status: number, body: object] | null> {
    const params = request.method === 'POST' ? new URLSearchParams(await textOf(request)) : url.searchParams;
    asked.push({ path: url.pathname, params });
    if (url.pathname === '/token') return (answers.token ?? token)(params);
    if (url.pathname === '/.well-known/openid-configuration') {
      const document = (answers.metadata ?? metadata)();
      return document && [200, document];
    }
    const status = url.pathname === '/authorize' ? (answers.authorization ?? authorization)(params) : 404;
    return status === null ? null : [status, {}];
  }

  const { origin } = await startServer((request, response, url) => {
    void answer(request, url).then((told) => {
      if (!told) return;
      const [status, body] = told;
      response.writeHead(status, { 'content-type': 'application/json', location: '/login' }).end(JSON.stringify(body));
    });
  });
  const askedAt = (path: string) => asked.filter((request) => request.path === path).map(({ params }) => params);
  return {
    origin,
    authorizationUrl: `${origin}/authorize`,
    tokenUrl: `${origin}/token`,
    client,
    redirectUris,
    askedAt,
  };
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += chunk;
  return text;
}
