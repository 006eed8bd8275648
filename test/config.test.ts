import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { ConfigError, parseConfig, variables } from '../src/config.ts';
import { runKeysCommand } from '../src/crypto/key-sources.ts';
import { defaultRateLimits } from '../src/workspaces/rate-limits.ts';

const key = (kid: string) => `${kid}:${Buffer.alloc(32, kid).toString('base64')}`;
const production = { NODE_ENV: 'production', ENCRYPTION_KEYS: key('a'), OPERATOR_KEY: 'operator-key-of-the-tests' };

/** The sentences that stop the start. */
function faultsOf(env: Record<string, string>): string[] {
  try {
    parseConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  }
  return [];
}

const wrong: [name: string, value: string, expected: string][] = [
  ['HOST', 'http://x', 'a host name or an IP address'],
  ['HOST', 'a b', 'a host name or an IP address'],
  ['PORT', 'http', 'a whole number from 0 to 65535'],
  ['PORT', '65536', 'a whole number from 0 to 65535'],
  ['PORT', '-1', 'a whole number from 0 to 65535'],
  ['PORT', '80.5', 'a whole number from 0 to 65535'],
  ['PORT', '0x50', 'a whole number from 0 to 65535'],
  ['PUBLIC_URL', 'connect.example.com', 'an origin such as https://connect.example.com, without a path'],
  ['PUBLIC_URL', 'https://connect.example.com/path', 'an origin such as https://connect.example.com, without a path'],
  ['PUBLIC_URL', 'https://connect.example.com/?a', 'an origin such as https://connect.example.com, without a path'],
  ['PUBLIC_URL', 'ftp://connect.example.com', 'an origin such as https://connect.example.com, without a path'],
  ['ADMIN_ISSUER', 'nobody', 'the URL of an issuer'],
  ['ADMIN_JWKS_URL', 'file:///etc/keys', 'the URL of a JWKS'],
  ['TRUST_PROXY', 'true', 'a whole number from 0 to 10'],
  ['TRUST_PROXY', '11', 'a whole number from 0 to 10'],
  ['WORKERS', '0', 'a whole number from 1 to 64'],
  ['WORKERS', 'auto', 'a whole number from 1 to 64'],
  ['ALLOWED_PROVIDER_HOSTS', 'https://host', 'host names, comma-separated, without scheme or port'],
  ['ALLOWED_PROVIDER_HOSTS', 'host:8080', 'host names, comma-separated, without scheme or port'],
  ['ALLOWED_PROVIDER_HOSTS', 'host,,other', 'host names, comma-separated, without scheme or port'],
  ['ALLOWED_PROVIDER_HOSTS', '*.example.com', 'host names, comma-separated, without scheme or port'],
  ['DEFAULT_PLAN', 'builder', 'one of FREE, STARTER, BUILDER, PRO, ELITE, ENTERPRISE'],
  ['GRAPHIQL', 'yes', 'true or false'],
  ['LOG_LEVEL', 'verbose', 'one of fatal, error, warn, info, debug, trace, silent'],
];

const wrongSecrets: [name: string, value: string, expected: string][] = [
  ['DATABASE_URL', 'mysql://user:hidden-part@host/db', 'a connection string that begins with postgresql://'],
  ['DATABASE_URL', 'hidden-part', 'a connection string that begins with postgresql://'],
  ['REDIS_URL', 'http://user:hidden-part@host', 'a URL that begins with redis:// or rediss://'],
  ['OPERATOR_KEY', 'hidden-part', 'at least 16 visible characters'],
  ['OPERATOR_KEY', 'hidden-part with a space', 'at least 16 visible characters'],
  ['ENCRYPTION_KEYS', 'hidden-part', 'kid:base64-of-32-bytes, comma-separated'],
  ['ENCRYPTION_KEYS', `a:${Buffer.from('hidden-part').toString('base64')}`, 'kid:base64-of-32-bytes, comma-separated'],
  ['ENCRYPTION_KEYS', `${key('a')},`, 'kid:base64-of-32-bytes, comma-separated'],
  ['ENCRYPTION_KEYS', `${key('a')},${key('a')}`, 'kid:base64-of-32-bytes, comma-separated'],
];

test('configuration: each wrong value stops the start with one sentence that names the variable, what it holds and what is expected', () => {
  const admin = {
    ADMIN_ISSUER: 'https://i.example.com',
    ADMIN_AUDIENCE: 'a',
    ADMIN_JWKS_URL: 'https://i.example.com/k',
  };
  for (const [name, value, expected] of wrong) {
    const env = name.startsWith('ADMIN_') ? { ...admin, [name]: value } : { [name]: value };
    const [fault, ...more] = faultsOf(env);
    expect(fault).toBe(`${name} holds ${JSON.stringify(value)}, but ${expected} is expected.`);
    expect(more.filter((line) => !line.includes('go together'))).toEqual([]);
  }
});

test('configuration: a wrong secret is named and never shown', () => {
  for (const [name, value, expected] of wrongSecrets) {
    const faults = faultsOf({ [name]: value });
    expect(faults).toEqual([`${name} holds a value that is not shown, but ${expected} is expected.`]);
    for (const part of ['hidden-part', ...value.split(/[:,]/)].filter((text) => text.length > 8)) {
      expect(faults.join()).not.toContain(part);
    }
  }
});

test('configuration: all faults are told at once, one sentence each', () => {
  const env = Object.fromEntries([...wrong, ...wrongSecrets].map(([name, value]) => [name, value]));
  const faults = faultsOf(env);
  for (const name of Object.keys(env))
    expect(faults.filter((line) => line.startsWith(`${name} holds `))).toHaveLength(1);
  expect(faults).toHaveLength(Object.keys(env).length + 1); // and that the ADMIN_ variables go together
  for (const line of faults) expect(line).toMatch(/^[A-Z_, and]+ .+\.$/);
});

test('configuration: the three ADMIN_ variables go together', () => {
  const together = ['ADMIN_ISSUER, ADMIN_AUDIENCE and ADMIN_JWKS_URL go together: set all three or none.'];
  const all = { ADMIN_ISSUER: 'https://i.example.com', ADMIN_AUDIENCE: 'a', ADMIN_JWKS_URL: 'https://i.example.com/k' };
  for (const name of Object.keys(all)) expect(faultsOf({ ...all, [name]: '' })).toEqual(together);
  expect(faultsOf(all)).toEqual([]);
  expect(parseConfig(all).admin).toEqual({
    issuer: 'https://i.example.com',
    audience: 'a',
    jwksUrl: 'https://i.example.com/k',
  });
  expect(parseConfig({}).admin).toBeNull();
});

test('configuration: a port that is not known beforehand needs PUBLIC_URL, of which redirect URIs are made', () => {
  expect(faultsOf({ PORT: '0' })).toEqual([
    'PORT holds 0, which takes any free port, so PUBLIC_URL must be set: redirect URIs are made of it.',
  ]);
  expect(faultsOf({ PORT: '00', PUBLIC_URL: ' ' })).toHaveLength(1);
  // a wrong PUBLIC_URL is told once
  expect(faultsOf({ PORT: '0', PUBLIC_URL: 'x' })).toEqual([expect.stringMatching(/^PUBLIC_URL holds /)]);
  expect(faultsOf({ PORT: '0', PUBLIC_URL: 'https://connect.example.com' })).toEqual([]);
});

test('configuration: more than one worker needs a database and events that are not of one process', () => {
  const [database, redis] = [{ DATABASE_URL: 'postgresql://host/db' }, { REDIS_URL: 'redis://host' }];
  const lacksDatabase =
    'WORKERS holds 2, but DATABASE_URL is not set: DATA_DIR belongs to one process; more than one worker needs DATABASE_URL.';
  const lacksRedis =
    'WORKERS holds 2, but REDIS_URL is not set: what happens on one worker reaches the others through Redis.';
  expect(faultsOf({ WORKERS: '2' })).toEqual([lacksDatabase, lacksRedis]);
  expect(faultsOf({ WORKERS: '2', ...database })).toEqual([lacksRedis]);
  expect(faultsOf({ WORKERS: '2', ...redis })).toEqual([lacksDatabase]);
  expect(faultsOf({ WORKERS: '2', ...database, ...redis })).toEqual([]);
  expect(faultsOf({ WORKERS: '2', ...database, ...redis, DATA_DIR: 'memory://' })).toEqual([
    'WORKERS holds 2, but ENCRYPTION_KEYS is not set and DATA_DIR keeps nothing: each worker would have a key of its own.',
  ]);
  expect(faultsOf({ WORKERS: '1' })).toEqual([]);
});

test('T26. production refuses to start without keys of its own, and says both at once', () => {
  expect(faultsOf({ NODE_ENV: 'production' })).toEqual([
    expect.stringMatching(/^ENCRYPTION_KEYS is not set, but production needs it: .+\.$/),
    expect.stringMatching(/^OPERATOR_KEY is not set, but production needs it: .+\.$/),
  ]);
  expect(faultsOf({ ...production, OPERATOR_KEY: ' ' })).toEqual([expect.stringContaining('OPERATOR_KEY is not set')]);
  expect(faultsOf({ ...production, ENCRYPTION_KEYS: '' })).toEqual([
    expect.stringContaining('ENCRYPTION_KEYS is not set'),
  ]);
  // a wrong one is told once, as wrong, and not as missing too
  expect(faultsOf({ ...production, ENCRYPTION_KEYS: 'x' })).toHaveLength(1);
  expect(faultsOf(production)).toEqual([]);
});

/** A file that holds a text; gone when the test is. */
function fileOf(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'keys-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'keys');
  writeFileSync(path, text);
  return path;
}

test('T8. encryption keys come from a file or a command just as well', () => {
  const { ENCRYPTION_KEYS, ...rest } = production;
  const file = fileOf(`${key('b')},${ENCRYPTION_KEYS}\n`);
  for (const source of [{ ENCRYPTION_KEYS_FILE: file }, { ENCRYPTION_KEYS_COMMAND: `cat '${file}' | tr -d x` }]) {
    const { keyring } = parseConfig({ ...rest, ...source });
    expect(keyring?.kids).toEqual(['b', 'a']);
    expect(keyring?.find('a')).toEqual(Buffer.alloc(32, 'a'));
  }
  const shared = { WORKERS: '2', DATABASE_URL: 'postgresql://host/db', REDIS_URL: 'redis://host' };
  expect(faultsOf({ ...shared, DATA_DIR: 'memory://', ENCRYPTION_KEYS_FILE: file })).toEqual([]);
});

test('T8. keys that cannot be fetched stop the start with one sentence, which shows nothing of what was set or fetched', () => {
  const { ENCRYPTION_KEYS, ...rest } = production;
  const [wrongFile, emptyFile] = [fileOf('hidden-part'), fileOf(' \n')];
  const expected = 'kid:base64-of-32-bytes, comma-separated is expected.';
  const onlyOne = 'are set, but the keys come from one place: set only one of them.';
  const cases: [Record<string, string>, string][] = [
    [{ ENCRYPTION_KEYS_FILE: '/hidden-part' }, 'ENCRYPTION_KEYS_FILE names a file that cannot be read (ENOENT).'],
    [{ ENCRYPTION_KEYS_FILE: tmpdir() }, 'ENCRYPTION_KEYS_FILE names a file that cannot be read (EISDIR).'],
    // who sets the keys where their path belongs must not find them in a log
    [{ ENCRYPTION_KEYS_FILE: ENCRYPTION_KEYS }, 'ENCRYPTION_KEYS_FILE names a file that cannot be read (ENOENT).'],
    [{ ENCRYPTION_KEYS_FILE: wrongFile }, `ENCRYPTION_KEYS_FILE gives a value that is not shown, but ${expected}`],
    [{ ENCRYPTION_KEYS_FILE: emptyFile }, `ENCRYPTION_KEYS_FILE gives nothing, but ${expected}`],
    [
      { ENCRYPTION_KEYS_COMMAND: 'echo hidden-part; echo hidden-part >&2; exit 3' },
      'ENCRYPTION_KEYS_COMMAND holds a command that ended with the exit code 3; run it by hand to see what it says.',
    ],
    [
      { ENCRYPTION_KEYS_COMMAND: 'no-such-program hidden-part' },
      'ENCRYPTION_KEYS_COMMAND holds a command that ended with the exit code 127; run it by hand to see what it says.',
    ],
    [
      { ENCRYPTION_KEYS_COMMAND: 'kill -9 $$ # hidden-part' },
      'ENCRYPTION_KEYS_COMMAND holds a command that could not be run to its end.',
    ],
    [
      { ENCRYPTION_KEYS_COMMAND: 'yes hidden-part' },
      'ENCRYPTION_KEYS_COMMAND holds a command that writes more than 64 KiB.',
    ],
    [
      { ENCRYPTION_KEYS_COMMAND: 'echo hidden-part' },
      `ENCRYPTION_KEYS_COMMAND gives a value that is not shown, but ${expected}`,
    ],
    [{ ENCRYPTION_KEYS_COMMAND: 'true # hidden-part' }, `ENCRYPTION_KEYS_COMMAND gives nothing, but ${expected}`],
    [{ ENCRYPTION_KEYS, ENCRYPTION_KEYS_FILE: wrongFile }, `ENCRYPTION_KEYS and ENCRYPTION_KEYS_FILE ${onlyOne}`],
    [
      { ENCRYPTION_KEYS_FILE: wrongFile, ENCRYPTION_KEYS_COMMAND: 'echo hidden-part' },
      `ENCRYPTION_KEYS_FILE and ENCRYPTION_KEYS_COMMAND ${onlyOne}`,
    ],
  ];
  for (const [source, fault] of cases) expect(faultsOf({ ...rest, ...source })).toEqual([fault]);
  expect(() => runKeysCommand('exec sleep 60', 50)).toThrow('holds a command that did not end within 0.05 seconds');
});

test('T26. production refuses plain http but for its own machine', () => {
  const admin = {
    ADMIN_ISSUER: 'https://i.example.com',
    ADMIN_AUDIENCE: 'a',
    ADMIN_JWKS_URL: 'https://i.example.com/k',
  };
  for (const [name, value] of [
    ['PUBLIC_URL', 'http://connect.example.com'],
    ['PUBLIC_URL', 'http://localhost.example.com'],
    ['ADMIN_ISSUER', 'http://i.example.com'],
    ['ADMIN_JWKS_URL', 'http://i.example.com/k'],
  ] as const) {
    const fault = `${name} holds ${JSON.stringify(value)}, but production needs https: what travels there must not be read or changed on the way.`;
    expect(faultsOf({ ...production, ...admin, [name]: value })).toEqual([fault]);
    expect(faultsOf({ ...admin, [name]: value })).toEqual([]);
  }
  for (const host of ['localhost', '127.0.0.1', '[::1]'])
    expect(faultsOf({ ...production, PUBLIC_URL: `http://${host}:4000` })).toEqual([]);
});

test('T26. limits that cannot be read stop the start; off and single ones are taken', () => {
  for (const value of [
    'none',
    'connects',
    'connects=',
    'connects=-1',
    'connects=many',
    'nothing=3',
    'connects=1;callbacks=2',
    '__proto__=1',
  ])
    expect(faultsOf({ RATE_LIMITS: value })).toEqual([
      expect.stringMatching(/^RATE_LIMITS holds ".*", but off, or limits a minute such as /),
    ]);
  expect(new Set(Object.values(parseConfig({ RATE_LIMITS: 'off' }).rateLimits))).toEqual(new Set([0]));
});

test('configuration: what nobody sets has the default of the table, and production has stricter ones', () => {
  expect(parseConfig({})).toEqual({
    production: false,
    host: '127.0.0.1',
    port: 4000,
    publicUrl: 'http://localhost:4000',
    databaseUrl: null,
    dataDir: '.data',
    redisUrl: null,
    keyring: null,
    operatorKey: null,
    admin: null,
    trustProxy: 0,
    workers: 1,
    allowedProviderHosts: [],
    defaultPlan: 'BUILDER',
    auditRetentionDays: 365,
    trustedDocuments: null,
    graphiql: true,
    logLevel: 'info',
    tracesEndpoint: null,
    rateLimits: defaultRateLimits,
  });
  expect(parseConfig(production)).toMatchObject({ production: true, host: '0.0.0.0', graphiql: false });
  const blank = Object.fromEntries(Object.keys(variables).map((name) => [name, '  ']));
  expect(parseConfig(blank)).toEqual(parseConfig({}));
});

test('configuration: right values are taken, with white space around them dropped', () => {
  const config = parseConfig({
    HOST: '::1',
    PORT: ' 8080 ',
    PUBLIC_URL: 'https://Connect.example.com/',
    DATABASE_URL: 'postgresql://user:hidden-part@host/db',
    DATA_DIR: 'memory://',
    ENCRYPTION_KEYS: `${key('b')}, ${key('a')}`,
    OPERATOR_KEY: production.OPERATOR_KEY,
    TRUST_PROXY: '2',
    ALLOWED_PROVIDER_HOSTS: 'Provider.internal, other',
    DEFAULT_PLAN: 'FREE',
    AUDIT_RETENTION_DAYS: ' 30 ',
    GRAPHIQL: 'false',
    LOG_LEVEL: 'debug',
    RATE_LIMITS: 'connects=5, key-failures=0',
  });
  expect(config).toMatchObject({
    host: '::1',
    port: 8080,
    publicUrl: 'https://connect.example.com',
    dataDir: null,
    trustProxy: 2,
    allowedProviderHosts: ['provider.internal', 'other'],
    defaultPlan: 'FREE',
    auditRetentionDays: 30,
    graphiql: false,
    logLevel: 'debug',
    rateLimits: { ...defaultRateLimits, connects: 5, 'key-failures': 0 },
  });
  expect(config.databaseUrl?.reveal()).toBe('postgresql://user:hidden-part@host/db');
  expect(config.operatorKey?.reveal()).toBe(production.OPERATOR_KEY);
  expect(config.keyring?.active.kid).toBe('b');
  expect(config.keyring?.find('a')).toEqual(Buffer.alloc(32, 'a'));
  expect(config.keyring?.find('c')).toBeNull();
  expect(JSON.stringify(config.databaseUrl)).toBe('"[secret]"');
});

test('configuration: the README’s table has every variable with its default and purpose, and no other', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const section = readme.split(/^## /m).find((part) => part.startsWith('Configuration\n')) ?? '';
  const rows = section
    .split('\n')
    .map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim()))
    .filter((cells) => /^`[A-Z_]+`$/.test(cells[1] ?? ''))
    .map((cells) => [cells[1]?.replaceAll('`', ''), cells[2]?.replaceAll('`', ''), cells[3]]);
  expect(rows).toEqual(Object.entries(variables).map(([name, { default: value, purpose }]) => [name, value, purpose]));
});

test('configuration: the process prints the sentences, without a stack, and ends with 1', async () => {
  const main = new URL('../src/main.ts', import.meta.url).pathname;
  const { PATH = '' } = process.env;
  const run = promisify(execFile)(process.execPath, ['--import', 'tsx', main], {
    env: { PATH, NODE_ENV: 'production', PORT: 'http', OPERATOR_KEY: 'hidden-part' },
  });
  const ended = (await run.catch((error: unknown) => error)) as { code: number; stdout: string; stderr: string };
  expect(ended.code).toBe(1);
  const printed = `${ended.stdout}${ended.stderr}`.trim().split('\n');
  expect(printed.map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual([
    'PORT holds',
    'OPERATOR_KEY holds',
    'ENCRYPTION_KEYS is',
  ]);
  expect(printed.join()).not.toContain('hidden-part');
});
