import type { ServerResponse } from 'node:http';
import oauth2orize, { type ExchangeDoneFunction, type ImmediateFunction, type ValidateDoneFunction } from 'oauth2orize';
import { bearerOf, type HostedClient, type HostedRequest, type HostedServer, host, newToken, send } from './host.ts';

type Middleware = (request: HostedRequest, response: ServerResponse, next: (error?: Error) => void) => void;

/**
 * `oauth2orize`: knows nothing of PKCE, says neither how long a token lives nor what was granted, refuses a dead refresh token
 * with 403, and reads scopes by commas here. This host keeps the refresh token it once gave, and revokes at an endpoint of its own.
 */
export function startOauth2orize(): Promise<HostedServer> {
  return host((_origin, state) => {
    const codes = new Map<string, { redirectUri: string; scopes: string[]; account: string }>();
    const library = oauth2orize.createServer<HostedClient, string>();
    library.grant(
      oauth2orize.grant.code<HostedClient, string>(
        { scopeSeparator: ',' },
        (_client, redirectUri, account, _answer, request, issued) => {
          const code = newToken();
          codes.set(code, { redirectUri, scopes: request.scope, account });
          issued(null, code);
        },
      ),
    );
    library.exchange(
      oauth2orize.exchange.authorizationCode(
        (_client: HostedClient, code: string, redirectUri: string, issued: ExchangeDoneFunction) => {
          const found = codes.get(code);
          codes.delete(code);
          if (!found || found.redirectUri !== redirectUri) return issued(null, false);
          const grant = { ...found, accessToken: newToken(), refreshToken: newToken() };
          state.grants.push(grant);
          issued(null, grant.accessToken, grant.refreshToken, { expires_in: '3600' });
        },
      ),
    );
    library.exchange(
      oauth2orize.exchange.refreshToken(
        (_client: HostedClient, refreshToken: string, _scope: string[], issued: ExchangeDoneFunction) => {
          const grant = state.grants.find((own) => own.refreshToken === refreshToken);
          if (!grant) return issued(null, false);
          grant.accessToken = newToken();
          issued(null, grant.accessToken, undefined, { expires_in: '3600' });
        },
      ),
    );

    const run = (request: HostedRequest, response: ServerResponse, ...steps: Middleware[]) => {
      const onError = library.errorHandler();
      const next = (error?: Error): void => {
        if (error) return onError(error, request, response, () => response.writeHead(500).end());
        const step = steps.shift();
        if (step) step(request, response, next);
        else response.writeHead(404).end();
      };
      next();
    };
    const authenticateClient: Middleware = (request, response, next) => {
      const { client_id: id, client_secret: secret } = request.body;
      if (id !== state.client.id || secret !== state.client.secret)
        return send(response, 401, { 'www-authenticate': 'Basic realm="clients"' }, undefined);
      Object.assign(request, { user: state.client });
      next();
    };
    const consent: ImmediateFunction<HostedClient, string> = (_client, _account, _scope, _type, _request, done) =>
      done(null, true, {}, {});
    // what express adds to a response, which the library's grants use
    const withRedirect: Middleware = (_request, response, next) => {
      Object.assign(response, { redirect: (location: string) => response.writeHead(302, { location }).end() });
      next();
    };
    return {
      '/authorize': (request, response) =>
        run(
          request,
          response,
          withRedirect,
          (asked, _answer, next) => {
            Object.assign(asked, { user: state.account });
            next();
          },
          library.authorize((id: string, redirectUri: string, done: ValidateDoneFunction<HostedClient>) => {
            const isKnown = id === state.client.id && state.client.redirectUris.includes(redirectUri);
            done(null, isKnown && state.client, redirectUri);
          }, consent) as Middleware,
        ),
      '/token': (request, response) => run(request, response, authenticateClient, library.token() as Middleware),
      '/revoke': (request, response) =>
        run(request, response, authenticateClient, (asked, answer) => {
          const { token } = asked.body;
          const at = state.grants.findIndex((grant) => [grant.accessToken, grant.refreshToken].includes(token ?? ''));
          if (at >= 0) state.grants.splice(at, 1);
          answer.writeHead(200).end();
        }),
      '/me': (request, response) => {
        const grant = state.grants.find(({ accessToken }) => accessToken === bearerOf(request));
        send(response, grant ? 200 : 401, {}, grant && { id: grant.account, login: grant.account });
      },
    };
  });
}
