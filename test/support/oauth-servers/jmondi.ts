import {
  AuthorizationServer,
  DateInterval,
  generateRandomToken,
  isOAuthError,
  type OAuthAuthCode,
  type OAuthClient,
  type OAuthToken,
  type ResponseInterface,
} from '@jmondi/oauth2-server';
import { jwtVerify } from 'jose';
import type { ServerResponse } from 'node:http';
import { bearerOf, type HostedRequest, type HostedServer, host, send } from './host.ts';

const signingKey = 'a-key-of-the-test-that-is-long-enough';

/**
 * `@jmondi/oauth2-server`: insists on PKCE S256, its codes and tokens are signed (JWT), it replaces refresh tokens, revokes by
 * RFC 7009, and calls a revoked refresh token `invalid_request`. The host publishes RFC 8414 metadata for an issuer with a path.
 */
export function startJmondi(): Promise<HostedServer> {
  return host((origin, state) => {
    const codes = new Map<string, OAuthAuthCode>();
    const issued = new Map<string, OAuthToken>();
    /** What has been issued, and still stands. */
    const standing = (accessToken: string) =>
      state.grants.some((grant) => grant.accessToken === accessToken) ? issued.get(accessToken) : undefined;
    const client = (): OAuthClient => ({
      id: state.client.id,
      name: 'Client',
      secret: state.client.secret,
      redirectUris: state.client.redirectUris,
      allowedGrants: ['authorization_code', 'refresh_token', 'client_credentials'],
      scopes: [],
    });
    const found = <T>(value: T | undefined): T => {
      if (value === undefined) throw new Error('It is not there.');
      return value;
    };
    const hour = new DateInterval('1h');
    const codeRepository = {
      getByIdentifier: async (code: string) => found(codes.get(code)),
      issueAuthCode: (of: OAuthClient, user: OAuthAuthCode['user'], scopes: OAuthAuthCode['scopes']) => ({
        code: generateRandomToken(),
        expiresAt: hour.getEndDate(),
        client: of,
        scopes,
        ...(user && { user }),
      }),
      persist: async (code: OAuthAuthCode) => void codes.set(code.code, code),
      isRevoked: async (code: string) => !codes.has(code),
      revoke: async (code: string) => void codes.delete(code),
    };
    const issuer = `${origin}/tenant`;
    const library = new AuthorizationServer(
      {
        getByIdentifier: async () => client(),
        isClientValid: async (_grant, of, secret) => of.id === state.client.id && secret === state.client.secret,
      },
      {
        issueToken: async (of, scopes, user) => ({
          accessToken: generateRandomToken(),
          accessTokenExpiresAt: hour.getEndDate(),
          client: of,
          scopes,
          ...(user && { user }),
        }),
        async issueRefreshToken(token) {
          token.refreshToken = generateRandomToken();
          token.refreshTokenExpiresAt = hour.getEndDate();
          return token;
        },
        async persist(token) {
          const { accessToken, refreshToken, scopes, user } = token;
          if (issued.has(accessToken)) return;
          issued.set(accessToken, token);
          const names = scopes.map(({ name }) => name);
          state.grants.push({
            accessToken,
            refreshToken: refreshToken ?? '',
            scopes: names,
            account: String(user?.id),
          });
        },
        async revoke({ accessToken }) {
          const at = state.grants.findIndex((grant) => grant.accessToken === accessToken);
          if (at >= 0) state.grants.splice(at, 1);
        },
        isRefreshTokenRevoked: async ({ accessToken }) => standing(accessToken) === undefined,
        getByRefreshToken: async (id) => found([...issued.values()].find(({ refreshToken }) => refreshToken === id)),
        getByAccessToken: async (id) => found(standing(id)),
      },
      {
        getAllByIdentifiers: async (names) => names.map((name) => ({ name })),
        finalize: async (scopes) => scopes,
      },
      signingKey,
      { requiresS256: true, issuer },
    );
    library.enableGrantTypes(
      ['client_credentials', hour],
      ['refresh_token', hour],
      [
        {
          grant: 'authorization_code',
          authCodeRepository: codeRepository,
          userRepository: { getUserByCredentials: async (id) => ({ id }) },
        },
        hour,
      ],
    );
    const answer =
      (act: (request: HostedRequest) => Promise<ResponseInterface>) =>
      async (request: HostedRequest, response: ServerResponse) => {
        try {
          const { status, headers, body } = await act(request);
          send(response, status, headers, body);
        } catch (error) {
          if (!isOAuthError(error)) throw error;
          send(response, error.status, {}, { error: error.errorType, error_description: error.errorDescription });
        }
      };
    return {
      // RFC 8414 3.1: the well-known part goes before the issuer's path
      '/.well-known/oauth-authorization-server/tenant': (_request, response) =>
        send(
          response,
          200,
          {},
          {
            issuer,
            authorization_endpoint: `${issuer}/authorize`,
            token_endpoint: `${issuer}/token`,
            revocation_endpoint: `${issuer}/revoke`,
            userinfo_endpoint: `${origin}/me`,
            response_types_supported: ['code'],
            code_challenge_methods_supported: ['S256'],
          },
        ),
      '/tenant/authorize': answer(async (request) => {
        const authorization = await library.validateAuthorizationRequest(request);
        authorization.user = { id: state.account };
        authorization.isAuthorizationApproved = true;
        return library.completeAuthorizationRequest(authorization);
      }),
      '/tenant/token': answer((request) => library.respondToAccessTokenRequest(request)),
      '/tenant/revoke': answer((request) => library.revoke(request)),
      '/me': async (request, response) => {
        const verified = await jwtVerify(bearerOf(request), new TextEncoder().encode(signingKey)).catch(() => null);
        const token = standing(String(verified?.payload.jti));
        send(response, token ? 200 : 401, {}, token && { sub: token.user?.id, name: `Account ${token.user?.id}` });
      },
    };
  });
}
