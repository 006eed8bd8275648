import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { RESERVED_AUTHORIZATION_PARAMS } from '../../src/oauth/authorization.ts';
import {
  CUSTOM_PROVIDER_KEY,
  customServer,
  findProvider,
  searchProviders,
  serverOf,
} from '../../src/providers/catalogue.ts';
import type { Provider } from '../../src/providers/provider.ts';
import { checkProviderUrl } from '../../src/oauth/fetch.ts';
import { serverFixture } from './support/server-fixture.ts';

const keys = (term: string | null) => searchProviders(term).map(({ key }) => key);

const known = [
  'airtable asana atlassian bamboohr bitbucket box calendly clickup contentful databricks discord dropbox github gitlab',
  'gmail google_analytics google_classroom google_search_console googleads googlebigquery googlecalendar googledocs',
  'googledrive googlemeet googlesheets googleslides googletasks hubspot hugging_face instagram linear linkedin',
  'docusign figma intercom mailchimp microsoft_teams notion one_drive outlook pipedrive quickbooks reddit salesforce',
  'share_point shopify slack slackbot snowflake splitwise spotify square supabase tiktok twitch typeform wix wrike xero',
  'zendesk zoho zoom',
].flatMap((line) => line.split(' '));

test('all entries come by name, and are found by key, name, description and scope', () => {
  const names = searchProviders(null).map(({ name }) => name);
  expect(keys(null)).toEqual(expect.arrayContaining(known));
  expect(names).toEqual([...names].sort((a, b) => a.localeCompare(b, 'en')));
  expect(keys('  ')).toEqual(keys(null));
  expect(keys('GOOGLECAL')).toEqual(['googlecalendar']);
  expect(keys('slack bot')).toEqual(['slackbot']);
  expect(keys('gists')).toEqual(['github']);
  expect(keys('gmail.send')).toEqual(['gmail']);
  expect(keys('no such thing')).toEqual([]);
});

test('an entry is found by its very key', () => {
  for (const provider of searchProviders(null)) expect(findProvider(provider.key)).toBe(provider);
  for (const key of ['Gmail', '', 'constructor', CUSTOM_PROVIDER_KEY]) expect(findProvider(key)).toBeNull();
});

test('every entry is the file of its key, and no two share a key or a name', () => {
  const files = readdirSync(new URL('../../src/providers/entries/', import.meta.url));
  expect(keys(null).sort()).toEqual(files.map((file) => file.replace(/\.ts$/, '')).sort());
  const names = searchProviders(null).map(({ name }) => name.toLowerCase());
  expect(names).toEqual([...new Set(names)]);
});

describe.each(searchProviders(null).map((provider) => [provider.key, provider] as const))('%s', (key, provider) => {
  const { server, configFields } = provider;
  const templates = [
    server.authorizationUrl,
    server.tokenUrl,
    server.refreshUrl,
    server.jwksUrl,
    server.revocation?.url,
    server.identity?.url,
    server.upgrade?.url,
    server.renewal?.url,
  ].filter((url) => typeof url === 'string');

  test('is complete, in plain texts', () => {
    expect(key).toMatch(/^[a-z0-9_]+$/);
    expect(provider.setupSteps.length).toBeGreaterThan(2);
    expect(provider.exampleUses.length).toBeGreaterThan(1);
    expect(provider.sources.length).toBeGreaterThan(1);
    const texts = [
      provider.name,
      provider.description,
      ...provider.setupSteps,
      ...provider.exampleUses,
      ...provider.sources,
      ...provider.scopes.map(({ description }) => description),
      ...configFields.flatMap(({ description, errorText }) => [description, errorText]),
    ];
    for (const text of texts) expect(text).toMatch(/^\S(?:.*\S)?$/);
    const scopes = provider.scopes.map(({ scope }) => scope);
    expect(scopes).toEqual([...new Set(scopes)]);
    for (const scope of scopes) {
      expect(scope).toMatch(/^[\x21\x23-\x5b\x5d-\x7e]+$/);
      expect(scope).not.toContain(server.scopeSeparator);
    }
  });

  test('asks only public https endpoints', () => {
    const policy = { allowedHosts: [], allowLoopback: false, timeoutMs: 1, maxBytes: 1 };
    for (const url of [provider.docsUrl, ...templates.map((url) => url.replaceAll(/\{\w+\}/g, 'x'))])
      expect(checkProviderUrl(url, policy)).toBeNull();
    for (const name of Object.keys(server.authorizationParams))
      expect(RESERVED_AUTHORIZATION_PARAMS.has(name)).toBe(false);
  });

  test('declares what its endpoints are filled with, and keeps it a label before a fixed suffix', () => {
    const names = configFields.map(({ name }) => name);
    expect(names).toEqual([...new Set(names)]);
    const filled = { revocation: ['token', 'client_id'], identity: ['token'] };
    for (const url of templates) {
      const own =
        url === server.revocation?.url ? filled.revocation : url === server.identity?.url ? filled.identity : [];
      for (const [, name] of url.matchAll(/\{(\w+)\}/g)) expect([...names, ...own]).toContain(name);
      const host = /^https:\/\/([^/?]*)/.exec(url)?.[1] ?? '';
      if (host.includes('{')) expect(host).toMatch(/^[a-z0-9.{}-]*\}(?:\.[a-z0-9-]+){2,}$/i);
    }
    for (const { pattern } of configFields) {
      expect(pattern).toMatch(/^\^.*\$$/);
      for (const value of ['a.b', 'a/b', 'a@b', 'a:1', '', 'a#', 'a\n', 'x'.repeat(64)])
        expect(new RegExp(pattern).test(value)).toBe(false);
    }
  });

  test('never takes an e-mail address for an id', () => {
    const paths = [...(server.identity?.idPaths ?? []), ...(server.accountPaths?.id ?? [])];
    for (const path of paths) expect(path).not.toMatch(/mail|login|user_?name/i);
    expect(server.identity === null || server.identity.idPaths.length > 0).toBe(true);
  });
});

const exchange = { method: 'GET', grantType: 'x', tokenParameter: 'y', sendsClient: false } as const;

const desk: Provider = {
  ...findProvider('github')!,
  configFields: [{ name: 'subdomain', description: '', required: true, pattern: '^[^/]+$', errorText: '' }],
  server: serverFixture({
    issuer: 'https://{subdomain}.desk.example',
    authorizationUrl: 'https://{subdomain}.desk.example/authorize',
    tokenUrl: 'https://{subdomain}.desk.example/token?of={subdomain}',
    jwksUrl: 'https://{subdomain}.desk.example/keys',
    refreshUrl: 'https://{subdomain}.desk.example/refresh',
    renewal: { ...exchange, url: 'https://{subdomain}.desk.example/renew' },
    upgrade: { ...exchange, url: 'https://{subdomain}.desk.example/upgrade' },
    revocation: { url: 'https://{subdomain}.desk.example/tokens/{token}', style: 'path', token: 'access' },
    identity: { url: 'https://{subdomain}.desk.example/me', method: 'GET', idPaths: [], emailPaths: [], namePaths: [] },
  }),
};

test('settings fill the endpoints', () => {
  expect(serverOf(desk, { subdomain: 'site-1' })).toMatchObject({
    issuer: 'https://site-1.desk.example',
    authorizationUrl: 'https://site-1.desk.example/authorize',
    tokenUrl: 'https://site-1.desk.example/token?of=site-1',
    jwksUrl: 'https://site-1.desk.example/keys',
    refreshUrl: 'https://site-1.desk.example/refresh',
    renewal: { url: 'https://site-1.desk.example/renew' },
    upgrade: { url: 'https://site-1.desk.example/upgrade' },
    revocation: { url: 'https://site-1.desk.example/tokens/{token}' },
    identity: { url: 'https://site-1.desk.example/me' },
  });
  const github = findProvider('github')!;
  expect(serverOf(github, { stray: 'x' })).toEqual(github.server);
});

test.each(['evil.com#', 'a.b', 'x/../', '', '127.0.0.1', 'a@b', '$&', 'é', 'a\n', 'x'.repeat(64)])(
  'T7. the setting %j cannot become part of a host',
  (subdomain) => {
    expect(() => serverOf(desk, { subdomain })).toThrow('The setting subdomain is missing or malformed.');
  },
);

test('a setting that is missing, or only the prototype’s, is refused', () => {
  expect(() => serverOf(desk, {})).toThrow('missing');
  const provider = {
    ...desk,
    configFields: [{ ...desk.configFields[0]!, name: 'constructor' }],
    server: serverFixture({ tokenUrl: 'https://{constructor}.example' }),
  };
  expect(() => serverOf(provider, {})).toThrow('missing');
});

test('a custom provider is plain OAuth 2', () => {
  const custom = {
    authorizationUrl: 'https://a.example/authorize',
    tokenUrl: 'https://a.example/token',
    issuer: null,
    jwksUrl: null,
    issParameterSupported: false,
    pkce: true,
    scopeSeparator: ',',
    clientAuthentication: 'NONE' as const,
    authorizationParams: { prompt: 'consent' },
  };
  const server = customServer({
    ...custom,
    revocationUrl: 'https://a.example/revoke',
    userinfoUrl: 'https://a.example/me',
  });
  expect(server).toMatchObject({
    ...custom,
    revocation: { url: 'https://a.example/revoke', style: 'rfc7009', token: 'refresh' },
    identity: { url: 'https://a.example/me', method: 'GET' },
    revocationReach: 'account',
  });
  expect(customServer({ ...custom, revocationUrl: null, userinfoUrl: null })).toMatchObject({
    revocation: null,
    identity: null,
  });
});
