import type { AuthorizationServer, ClientAuthentication } from '../oauth/authorization-server.ts';
import { OAuthError } from '../oauth/failure.ts';
import * as entries from './generated/entries.ts';
import { oauthServer, type Provider } from './provider.ts';

/** The provider key of a connector whose endpoints its admin gives. It is no entry of the catalogue. */
export const CUSTOM_PROVIDER_KEY = 'custom';

/** Every file of entries/ is an entry: its `provider`. */
const providers = Object.values<Provider>(entries).sort((a, b) => a.name.localeCompare(b.name, 'en'));

const byKey = new Map(providers.map((provider) => [provider.key, provider]));

/** The entry with this very key; null where there is none. */
export function findProvider(key: string): Provider | null {
  return byKey.get(key) ?? null;
}

/** The entries whose key, name, description or scopes hold the term, in any case; all without one. By name. */
export function searchProviders(term: string | null): Provider[] {
  const wanted = term?.trim().toLowerCase() ?? '';
  return providers.filter(({ key, name, description, scopes }) =>
    [key, name, description, ...scopes.flatMap((entry) => [entry.scope, entry.description])].some((text) =>
      text.toLowerCase().includes(wanted),
    ),
  );
}

/** Nobody says how a custom provider does it: a week is the shortest that large servers are set to. */
const customIdleDays = 7;

/** The provider keys by the days after which they let an unused refresh token lapse. Those that do not are left out. */
export function refreshTokenIdleDays(): Map<number, string[]> {
  const keys = new Map([[customIdleDays, [CUSTOM_PROVIDER_KEY]]]);
  for (const { key, refreshTokenIdleDays: days } of providers) {
    if (days !== null) keys.set(days, [...(keys.get(days) ?? []), key]);
  }
  return keys;
}

/**
 * How to speak to a provider of the catalogue for a connector: each `{name}` of its settings in the endpoints is replaced
 * by the connector's value. A value becomes part of a host name, so besides the entry's own pattern only what can stand
 * between two dots is taken.
 * @throws OAuthError `misconfigured` UNSUPPORTED where a setting that an endpoint needs is missing or malformed.
 */
export function serverOf(provider: Provider, config: Readonly<Record<string, string>>): AuthorizationServer {
  const fill = (template: string): string =>
    provider.configFields.reduce((url, { name, pattern }) => {
      if (!url.includes(`{${name}}`)) return url;
      const value = config[name];
      if (value === undefined || !/^[a-z0-9-]{1,63}$/i.test(value) || !new RegExp(pattern).test(value)) {
        throw new OAuthError(
          { kind: 'misconfigured', code: 'UNSUPPORTED' },
          `The setting ${name} is missing or malformed.`,
        );
      }
      return url.replaceAll(`{${name}}`, value);
    }, template);
  const { server } = provider;
  return {
    ...server,
    issuer: server.issuer && fill(server.issuer),
    authorizationUrl: fill(server.authorizationUrl),
    tokenUrl: fill(server.tokenUrl),
    refreshUrl: server.refreshUrl && fill(server.refreshUrl),
    jwksUrl: server.jwksUrl && fill(server.jwksUrl),
    revocation: server.revocation && { ...server.revocation, url: fill(server.revocation.url) },
    identity: server.identity && { ...server.identity, url: fill(server.identity.url) },
    upgrade: server.upgrade && { ...server.upgrade, url: fill(server.upgrade.url) },
    renewal: server.renewal && { ...server.renewal, url: fill(server.renewal.url) },
  };
}

/** How to speak to a provider that an admin describes: plain OAuth 2, and where nothing is known the safe choice. */
export function customServer(custom: {
  authorizationUrl: string;
  tokenUrl: string;
  revocationUrl: string | null;
  userinfoUrl: string | null;
  issuer: string | null;
  jwksUrl: string | null;
  issParameterSupported: boolean;
  pkce: boolean;
  scopeSeparator: string;
  clientAuthentication: ClientAuthentication;
  authorizationParams: Readonly<Record<string, string>>;
}): AuthorizationServer {
  const { revocationUrl, userinfoUrl } = custom;
  return oauthServer({
    issuer: custom.issuer,
    authorizationUrl: custom.authorizationUrl,
    tokenUrl: custom.tokenUrl,
    jwksUrl: custom.jwksUrl,
    issParameterSupported: custom.issParameterSupported,
    revocation: revocationUrl === null ? null : { url: revocationUrl, style: 'rfc7009', token: 'refresh' },
    identity:
      userinfoUrl === null
        ? null
        : {
            url: userinfoUrl,
            method: 'GET',
            idPaths: ['sub', 'id', 'user_id'],
            emailPaths: ['email'],
            namePaths: ['name', 'login', 'username', 'preferred_username'],
          },
    clientAuthentication: custom.clientAuthentication,
    scopeSeparator: custom.scopeSeparator,
    pkce: custom.pkce,
    authorizationParams: custom.authorizationParams,
  });
}
