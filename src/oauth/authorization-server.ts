import type { Secret } from '../lib/secret.ts';

/** How the client proves itself at the token endpoint. BASIC form-encodes id and secret first (RFC 6749 2.3.1); BASIC_RAW does not. */
export type ClientAuthentication = 'CLIENT_SECRET_POST' | 'CLIENT_SECRET_BASIC' | 'CLIENT_SECRET_BASIC_RAW' | 'NONE';

/** How a grant is taken back at the provider. */
export interface RevocationEndpoint {
  /** `{client_id}` is replaced by the client's id. */
  url: string;
  /** `rfc7009`: POST token + token_type_hint with client authentication. `bearer`: POST with the token as Authorization: Bearer. `path`: DELETE on the URL with `{token}` replaced. `basic-json`: DELETE with client id and secret as Basic and `{"access_token"}` as body (GitHub). */
  style: 'rfc7009' | 'bearer' | 'path' | 'basic-json';
  headers?: Readonly<Record<string, string>>;
  /** Which token ends the grant. With `refresh`, the access token stands in where there is no refresh token. */
  token: 'refresh' | 'access';
}

/** Where the provider tells whose account a token belongs to. Paths are dotted, the first that holds a text or a number wins. */
export interface IdentityEndpoint {
  /** `{token}` is replaced by the access token, which is sent as Authorization: Bearer in any case. */
  url: string;
  method: 'GET' | 'POST';
  headers?: Readonly<Record<string, string>>;
  /** Sent as JSON, such as a GraphQL query; no body without it. */
  body?: Readonly<Record<string, unknown>>;
  idPaths: readonly string[];
  emailPaths: readonly string[];
  namePaths: readonly string[];
  /** Where given, the endpoint answers only tokens that hold one of these scopes: without one, its refusal says nothing about the token. */
  anyScope?: readonly string[];
}

/** A parameter of OAuth that some providers call by a name of their own, such as TikTok's `client_key`. */
export type RenamableParameter = 'client_id' | 'client_secret' | 'code' | 'refresh_token' | 'token';

/**
 * A way to get a longer-lived or a further access token other than the refresh_token grant at the token endpoint.
 * `grantType` goes as `grant_type`; the token goes as `tokenParameter`. With GET all parameters go in the query.
 */
export interface TokenExchange {
  url: string;
  method: 'GET' | 'POST';
  grantType: string;
  tokenParameter: string;
  /** Whether client id and secret go along. */
  sendsClient: boolean;
}

/** Everything the protocol needs to know of one provider, its dialect included, as data. */
export interface AuthorizationServer {
  /** The issuer identifier, where the provider has one that its id_tokens and `iss` parameters carry. */
  issuer: string | null;
  authorizationUrl: string;
  tokenUrl: string;
  /** Where refresh requests go, when not to `tokenUrl`. */
  refreshUrl: string | null;
  jwksUrl: string | null;
  /** RFC 9207: whether the authorization response always carries `iss`. Where it does not, an `iss` that comes is checked all the same when the issuer is known. */
  issParameterSupported: boolean;
  revocation: RevocationEndpoint | null;
  identity: IdentityEndpoint | null;
  clientAuthentication: ClientAuthentication;
  /** How the token request's body is written. */
  bodyFormat: 'form' | 'json';
  scopeSeparator: string;
  /** The authorization request's parameter for scopes: `scope`, or Slack's `user_scope`. */
  scopeParameter: string;
  /** Scopes that the provider grants under another name than they are asked by (left: as asked; right: as granted, empty where the answer never names them). */
  scopeAliases: Readonly<Record<string, string>>;
  /** Whether the provider takes PKCE S256. */
  pkce: boolean;
  /** Further parameters of the authorization request. */
  authorizationParams: Readonly<Record<string, string>>;
  /** Further parameters of the code exchange. */
  tokenParams: Readonly<Record<string, string>>;
  /** Further parameters of a refresh. */
  refreshParams: Readonly<Record<string, string>>;
  /** Further headers of token and refresh requests. */
  tokenHeaders: Readonly<Record<string, string>>;
  /** OAuth's names on the left, the provider's on the right; in the authorization URL and in every request to the provider. */
  parameterNames: Readonly<Partial<Record<RenamableParameter, string>>>;
  /** The same for the authorization URL alone, where that has names of its own (Wix's `appId` and `redirectUrl`). */
  authorizationNames: Readonly<Partial<Record<'client_id' | 'redirect_uri', string>>>;
  /** After the code exchange the short-lived access token is exchanged once more for the one to keep (Instagram); null where the first is kept. */
  upgrade: TokenExchange | null;
  /** How an access token is renewed where there are no refresh tokens: by itself, while it is valid (Instagram, Meta); null where refresh tokens do it. */
  renewal: TokenExchange | null;
  /** Whether a refresh token can be expected to work at the token endpoint. */
  refreshes: boolean;
  /** Where the token answer nests its tokens (dotted), such as Slack's `authed_user`; null at the top. */
  tokenPath: string | null;
  /** How long an access token that can be refreshed is taken to live, in seconds, where the answer does not say; null where it then counts as not ending. */
  assumedLifetimeSeconds: number | null;
  /**
   * What means a dead grant here, besides invalid_grant: an error code, or one with its text (`code: text`, without the full stop)
   * where the code alone means other things as well.
   */
  deadGrantErrors: readonly string[];
  /** What means a refused client here, besides the words of RFC 6749, in the same form. */
  refusedClientErrors: readonly string[];
  /** Where the token answer itself names the account. */
  accountPaths: { id: readonly string[]; email: readonly string[]; name: readonly string[] } | null;
  /** Members of the token answer that API calls need, kept as connectionConfig. */
  keepFromToken: readonly string[];
  /** Parameters of the authorization response that API calls need, kept as connectionConfig (QuickBooks' realmId). */
  keepFromCallback: readonly string[];
  /**
   * The provider says in the authorization response (`parameter`, such as Zoho's accounts-server) which of its origins holds the
   * account: token, refresh, revocation and identity requests of that connection go there, if its host is one of `hosts`.
   */
  regionalOrigin: { parameter: string; hosts: readonly string[] } | null;
  /** `account`: revoking any token of an account ends all of that account's tokens for this client. `token`: it ends only what was issued with it. */
  revocationReach: 'token' | 'account';
}

/** The OAuth client registered at the provider. */
export interface OAuthClient {
  clientId: string;
  clientSecret: Secret | null;
}

/** Whose account it is, as far as the provider tells. Each text is at most 320 characters, without control characters. */
export interface ProviderAccount {
  id: string | null;
  email: string | null;
  name: string | null;
}

/** What a token answer holds, normalised. */
export interface TokenGrant {
  accessToken: Secret;
  /** What renews the grant: the access token itself where the server has a `renewal`. */
  refreshToken: Secret | null;
  /** As the provider wrote it, `Bearer` where it says nothing or one of its own words. */
  tokenType: string;
  /** From receipt; null where the provider does not say, or says something that is not a positive number. At most 10 years. */
  expiresInSeconds: number | null;
  /** Null where the provider does not say, which means: as asked (RFC 6749 5.1). */
  scopes: string[] | null;
  /** From a validated id_token or the answer's own members. */
  account: ProviderAccount | null;
  kept: KeptValue[];
}

/** What a provider told of a connection that API calls need, or that says where to ask for it. */
export interface KeptValue {
  name: string;
  value: string;
}
