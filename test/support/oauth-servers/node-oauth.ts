import type { ServerResponse } from 'node:http';
import OAuth2Server from '@node-oauth/oauth2-server';
import { type HostedRequest, type HostedServer, host, send } from './host.ts';

/**
 * `@node-oauth/oauth2-server`: checks PKCE where it is used, replaces refresh tokens, answers scopes as a list, reads Basic
 * credentials as they are, has neither a revocation endpoint nor metadata. This one grants nobody `write`.
 */
export function startNodeOauth(): Promise<HostedServer> {
  return host((_origin, state) => {
    const codes = new Map<string, OAuth2Server.AuthorizationCode>();
    const client = (): OAuth2Server.Client => ({
      id: state.client.id,
      redirectUris: state.client.redirectUris,
      grants: ['authorization_code', 'refresh_token'],
    });
    const tokenBy = async (name: 'accessToken' | 'refreshToken', value: string) => {
      const found = state.grants.find((grant) => grant[name] === value);
      const expiresAt = new Date(Date.now() + 3_600_000);
      const { accessToken, refreshToken, scopes, account } = found ?? {};
      if (accessToken === undefined || refreshToken === undefined || scopes === undefined) return null;
      return {
        accessToken,
        accessTokenExpiresAt: expiresAt,
        refreshToken,
        refreshTokenExpiresAt: expiresAt,
        scope: scopes,
        client: client(),
        user: { account },
      };
    };
    const model: OAuth2Server.AuthorizationCodeModel & OAuth2Server.RefreshTokenModel = {
      getClient: async (id, secret: string | null) =>
        id === state.client.id && (secret === null || secret === state.client.secret) && client(),
      validateScope: async (_user, _client, scope = []) => scope.filter((name) => name !== 'write'),
      async saveAuthorizationCode(code, of, user) {
        const saved = { ...code, client: of, user };
        codes.set(code.authorizationCode, saved);
        return saved;
      },
      getAuthorizationCode: async (code) => codes.get(code),
      revokeAuthorizationCode: async ({ authorizationCode }) => codes.delete(authorizationCode),
      async saveToken(token, of, user) {
        const { accessToken, refreshToken = '', scope = [] } = token;
        state.grants.push({ accessToken, refreshToken, scopes: scope, account: String(user.account) });
        return { ...token, client: of, user };
      },
      getAccessToken: (token) => tokenBy('accessToken', token),
      getRefreshToken: (token) => tokenBy('refreshToken', token),
      async revokeToken({ refreshToken }) {
        const at = state.grants.findIndex((grant) => grant.refreshToken === refreshToken);
        return state.grants.splice(at, at < 0 ? 0 : 1).length > 0;
      },
    };
    const library = new OAuth2Server({ model });
    const answer =
      (act: (request: OAuth2Server.Request, response: OAuth2Server.Response) => Promise<unknown>) =>
      async (incoming: HostedRequest, outgoing: ServerResponse) => {
        const response = new OAuth2Server.Response();
        const { headers, method, query, body } = incoming;
        const asked = new OAuth2Server.Request({
          headers: headers as Record<string, string>,
          method: `${method}`,
          query,
          body,
        });
        const error: unknown = await act(asked, response).then(
          () => null,
          (thrown: unknown) => thrown,
        );
        const status =
          error instanceof OAuth2Server.OAuthError && !response.headers?.location ? error.code : response.status;
        send(outgoing, status ?? 200, response.headers ?? {}, response.body);
      };
    return {
      '/authorize': answer((request, response) =>
        library.authorize(request, response, {
          authenticateHandler: { handle: () => ({ account: state.account }) },
        }),
      ),
      '/token': answer((request, response) => library.token(request, response)),
      '/me': answer(async (request, response) => {
        const { user } = await library.authenticate(request, response);
        response.body = { sub: user.account, email: `${String(user.account)}@example.com` };
      }),
    };
  });
}
