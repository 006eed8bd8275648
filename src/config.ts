import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { parseUrl } from './lib/parse-url.ts';
import { KeySourceError, readKeysFile, runKeysCommand } from './crypto/key-sources.ts';
import { type Keyring, parseKeyring } from './crypto/keyring.ts';
import { Plan } from './db/generated/prisma/enums.ts';
import { Secret } from './lib/secret.ts';
import { StartupError } from './lib/startup-error.ts';
import { defaultRateLimits, type RateLimits } from './workspaces/rate-limits.ts';

/** Everything the service can be told from outside. */
export interface Config {
  production: boolean;
  host: string;
  port: number;
  /** An origin: scheme, host, port; no path. */
  publicUrl: string;
  /** Null: embedded PGlite in `dataDir`. */
  databaseUrl: Secret | null;
  /** Null: the embedded database lives in memory and ends with the process. */
  dataDir: string | null;
  /** Null: events stay within this process. */
  redisUrl: Secret | null;
  /** Null in development where none is set: app.ts then keeps one in `dataDir`. */
  keyring: Keyring | null;
  /** Null in development where none is set: main.ts then makes one up and prints it. */
  operatorKey: Secret | null;
  admin: { issuer: string; audience: string; jwksUrl: string } | null;
  trustProxy: number;
  /** Processes that serve; with more than one, this one only minds them. */
  workers: number;
  allowedProviderHosts: string[];
  defaultPlan: Plan;
  auditRetentionDays: number;
  /** The documents that are answered, by their hash, besides the project's own. Null: all are. */
  trustedDocuments: ReadonlyMap<string, string> | null;
  graphiql: boolean;
  logLevel: string;
  /** Where traces go, by OTLP/HTTP. Null: there are none. */
  tracesEndpoint: string | null;
  rateLimits: RateLimits;
}

const limitsText = Object.entries(defaultRateLimits)
  .map(([name, count]) => `${name}=${count}`)
  .join(',');

/** Every environment variable the service reads, with what it is for: the source of the README's table. */
export const variables = {
  NODE_ENV: { default: 'development', purpose: '`production` makes the service refuse development defaults' },
  HOST: { default: '127.0.0.1, in production 0.0.0.0', purpose: 'address to listen on' },
  PORT: { default: '4000', purpose: 'port to listen on; 0, any free one, needs PUBLIC_URL' },
  PUBLIC_URL: { default: 'http://localhost:PORT', purpose: 'origin under which browsers reach the service' },
  DATABASE_URL: { default: '', purpose: 'PostgreSQL connection string; unset: embedded PGlite in DATA_DIR' },
  DATA_DIR: {
    default: '.data',
    purpose: 'folder of the embedded database and of development keys; `memory://` keeps nothing',
  },
  REDIS_URL: { default: '', purpose: 'Redis that carries events between instances; unset: they stay in the process' },
  ENCRYPTION_KEYS: {
    default: 'development: generated in DATA_DIR',
    purpose: '`kid:base64-of-32-bytes`, comma-separated; the first encrypts, all decrypt; required in production',
  },
  ENCRYPTION_KEYS_FILE: { default: '', purpose: 'path of a file that holds what ENCRYPTION_KEYS would, instead of it' },
  ENCRYPTION_KEYS_COMMAND: {
    default: '',
    purpose:
      'shell command that prints what ENCRYPTION_KEYS would, instead of it; each process runs it when it starts, for 30 s at most',
  },
  OPERATOR_KEY: {
    default: 'development: generated and printed',
    purpose: "the operator's bearer token, at least 16 characters; required in production",
  },
  ADMIN_ISSUER: {
    default: '',
    purpose: "`iss` of people's admin identity tokens; goes with ADMIN_AUDIENCE and ADMIN_JWKS_URL",
  },
  ADMIN_AUDIENCE: { default: '', purpose: '`aud` of admin identity tokens' },
  ADMIN_JWKS_URL: { default: '', purpose: 'where the admin issuer publishes its keys' },
  TRUST_PROXY: { default: '0', purpose: 'number of reverse proxies in front whose X-Forwarded-For is believed' },
  WORKERS: {
    default: '1',
    purpose: 'number of processes that share the port; more than one needs DATABASE_URL and REDIS_URL',
  },
  ALLOWED_PROVIDER_HOSTS: {
    default: '',
    purpose:
      'comma-separated hosts that may be called although they are not public; in development localhost always may',
  },
  DEFAULT_PLAN: { default: 'BUILDER', purpose: 'plan of a workspace that is created without one' },
  AUDIT_RETENTION_DAYS: { default: '365', purpose: 'for how many days the audit is kept' },
  TRUSTED_DOCUMENTS: {
    default: '',
    purpose:
      'JSON files of `{hash: document}`, comma-separated: only these documents are answered, and those of the client library and the console; unset: any',
  },
  GRAPHIQL: { default: 'true, in production false', purpose: 'whether /graphql opens GraphiQL in a browser' },
  LOG_LEVEL: { default: 'info', purpose: 'fatal, error, warn, info, debug, trace or silent' },
  OTEL_EXPORTER_OTLP_ENDPOINT: {
    default: '',
    purpose:
      'URL of an OpenTelemetry collector, such as http://localhost:4318, to which traces go; unset: there are none',
  },
  RATE_LIMITS: {
    default: limitsText,
    purpose: 'how often a minute; what is not named keeps its default, 0 or `off` sets no limit',
  },
} as const satisfies Record<string, { default: string; purpose: string }>;

type VariableName = keyof typeof variables;
const secretVariables: ReadonlySet<VariableName> = new Set([
  'DATABASE_URL',
  'REDIS_URL',
  'ENCRYPTION_KEYS',
  'OPERATOR_KEY',
  'OTEL_EXPORTER_OTLP_ENDPOINT', // someone may put credentials in it
]);

/** The environment holds something that cannot be used. The message has one sentence per variable and no secret. */
export class ConfigError extends StartupError {
  override readonly name = 'ConfigError';
}

const integer = (low: number, high: number) =>
  z
    .string()
    .regex(/^\d{1,6}$/)
    .transform(Number)
    .refine((value) => value >= low && value <= high);
const url = (protocols: string[]) => z.string().refine((value) => protocols.includes(parseUrl(value)?.protocol ?? ''));
const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/;
const hostname = /^[a-z0-9.-]+$/i;
const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

const environment = z.object({
  HOST: z
    .string()
    .regex(/^[a-z0-9.:-]+$/i)
    .describe('a host name or an IP address'),
  PORT: integer(0, 65_535).describe('a whole number from 0 to 65535'),
  PUBLIC_URL: url(['http:', 'https:'])
    .transform((value) => new URL(value))
    .refine((value) => value.href === `${value.origin}/`)
    .transform((value) => value.origin)
    .describe('an origin such as https://connect.example.com, without a path'),
  DATABASE_URL: url(['postgres:', 'postgresql:'])
    .transform((value) => new Secret(value))
    .describe('a connection string that begins with postgresql://'),
  REDIS_URL: url(['redis:', 'rediss:'])
    .transform((value) => new Secret(value))
    .describe('a URL that begins with redis:// or rediss://'),
  DATA_DIR: z.string().describe('a path, or memory://'),
  ENCRYPTION_KEYS: z
    .string()
    .transform((value, context) => {
      try {
        return parseKeyring(value);
      } catch (error) {
        context.addIssue({ code: 'custom', message: (error as Error).message });
        return z.NEVER;
      }
    })
    .describe('kid:base64-of-32-bytes, comma-separated'),
  OPERATOR_KEY: z
    .string()
    .regex(/^[\x21-\x7e]{16,}$/)
    .transform((value) => new Secret(value))
    .describe('at least 16 visible characters'),
  ADMIN_ISSUER: url(['http:', 'https:']).describe('the URL of an issuer'),
  ADMIN_AUDIENCE: z.string().describe('a text'),
  ADMIN_JWKS_URL: url(['http:', 'https:']).describe('the URL of a JWKS'),
  TRUST_PROXY: integer(0, 10).describe('a whole number from 0 to 10'),
  WORKERS: integer(1, 64).describe('a whole number from 1 to 64'),
  ALLOWED_PROVIDER_HOSTS: z
    .string()
    .transform((value) => value.split(',').map((host) => host.trim().toLowerCase()))
    .refine((hosts) => hosts.every((host) => hostname.test(host)))
    .describe('host names, comma-separated, without scheme or port'),
  DEFAULT_PLAN: z.enum(Plan).describe(`one of ${Object.keys(Plan).join(', ')}`),
  AUDIT_RETENTION_DAYS: integer(1, 3650).describe('a whole number from 1 to 3650'),
  TRUSTED_DOCUMENTS: z
    .string()
    .transform((value, context) => {
      const documents = readDocuments(value.split(','));
      if (!documents) context.addIssue('invalid');
      return documents ?? z.NEVER;
    })
    .describe('the path of a JSON file, or several, comma-separated, of which each holds documents by their hashes'),
  GRAPHIQL: z
    .enum(['true', 'false'])
    .transform((value) => value === 'true')
    .describe('true or false'),
  RATE_LIMITS: z
    .string()
    .transform((value, context) => {
      const limits = readRateLimits(value);
      if (!limits) context.addIssue('invalid');
      return limits ?? z.NEVER;
    })
    .describe(
      `off, or limits a minute such as connects=30,callbacks=300, of ${Object.keys(defaultRateLimits).join(', ')}`,
    ),
  OTEL_EXPORTER_OTLP_ENDPOINT: url(['http:', 'https:'])
    .refine((value) => !/[?#@]/.test(value))
    .describe('a URL such as http://localhost:4318; credentials go into OTEL_EXPORTER_OTLP_HEADERS'),
  LOG_LEVEL: z.enum(logLevels).describe(`one of ${logLevels.join(', ')}`),
});

const keySources = {
  ENCRYPTION_KEYS: (value) => value,
  ENCRYPTION_KEYS_FILE: readKeysFile,
  ENCRYPTION_KEYS_COMMAND: (value) => runKeysCommand(value),
} as const satisfies Partial<Record<VariableName, (value: string) => string>>;
type KeySource = keyof typeof keySources;

/** The text of the keys and the variable it comes from; null where none is set, an empty text where a fault was told. */
function readKeys(
  env: Readonly<Record<string, string | undefined>>,
  faults: string[],
): { source: KeySource; text: string } | null {
  const names = (Object.keys(keySources) as KeySource[]).filter((name) => env[name]?.trim());
  const [source] = names;
  if (!source) return null;
  if (names.length > 1) {
    faults.push(`${names.join(' and ')} are set, but the keys come from one place: set only one of them.`);
    return { source, text: '' };
  }
  try {
    const text = keySources[source](env[source]?.trim() ?? '').trim();
    if (!text)
      faults.push(`${source} gives nothing, but ${environment.shape.ENCRYPTION_KEYS.description} is expected.`);
    return { source, text };
  } catch (error) {
    if (!(error instanceof KeySourceError)) throw error;
    faults.push(`${source} ${error.message}.`);
    return { source, text: '' };
  }
}

/** Null where the text names no limits. */
function readRateLimits(text: string): RateLimits | null {
  const limits: Record<string, number> = { ...defaultRateLimits };
  if (text === 'off') return Object.fromEntries(Object.keys(limits).map((name) => [name, 0])) as RateLimits;
  for (const part of text.split(',')) {
    const [, name = '', count] = /^([a-z-]+)=(\d{1,7})$/.exec(part.trim()) ?? [];
    if (!Object.hasOwn(limits, name)) return null;
    limits[name] = Number(count);
  }
  return limits as RateLimits;
}

/** Null where a file cannot be read, or holds anything else. */
function readDocuments(paths: string[]): ReadonlyMap<string, string> | null {
  try {
    const files = paths.map((path) =>
      z.record(z.string(), z.string()).parse(JSON.parse(readFileSync(path.trim(), 'utf8'))),
    );
    return new Map(files.flatMap((file) => Object.entries(file)));
  } catch {
    return null;
  }
}

/**
 * Reads the environment. An empty variable counts as unset.
 * @throws ConfigError that lists every fault at once.
 */
export function parseConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const faults: string[] = [];
  const production = env.NODE_ENV === 'production';

  const keys = readKeys(env, faults);
  const given = Object.fromEntries(
    (Object.keys(environment.shape) as (keyof typeof environment.shape)[]).flatMap((name) => {
      const value = name === 'ENCRYPTION_KEYS' ? keys?.text : env[name]?.trim();
      return value ? [[name, value]] : [];
    }),
  );
  const result = environment.partial().safeParse(given);
  const faulty = new Set(result.error?.issues.map((issue) => issue.path[0] as keyof typeof environment.shape));
  for (const name of faulty) {
    if (name === 'ENCRYPTION_KEYS' && keys && keys.source !== name) {
      faults.push(
        `${keys.source} gives a value that is not shown, but ${environment.shape[name].description} is expected.`,
      );
      continue;
    }
    const held = secretVariables.has(name) ? 'a value that is not shown' : JSON.stringify(given[name]);
    faults.push(`${name} holds ${held}, but ${environment.shape[name].description} is expected.`);
  }
  const mode = env.NODE_ENV?.trim() || 'development';
  if (!['development', 'production', 'test'].includes(mode)) {
    faults.push(`NODE_ENV holds ${JSON.stringify(mode)}, but development, production or test is expected.`);
  }
  const values = result.data ?? {};

  function required<T>(name: VariableName, value: T | undefined): T | null {
    if (value !== undefined) return value;
    if (production && given[name] === undefined && !(name === 'ENCRYPTION_KEYS' && keys)) {
      faults.push(`${name} is not set, but production needs it: ${variables[name].purpose}.`);
    }
    return null;
  }

  for (const [name, value] of Object.entries({
    PUBLIC_URL: values.PUBLIC_URL,
    ADMIN_ISSUER: values.ADMIN_ISSUER,
    ADMIN_JWKS_URL: values.ADMIN_JWKS_URL,
  })) {
    if (!production || !value?.startsWith('http:') || loopback.test(new URL(value).hostname)) continue;
    faults.push(
      `${name} holds ${JSON.stringify(value)}, but production needs https: what travels there must not be read or changed on the way.`,
    );
  }
  const port = values.PORT ?? 4000;
  if (port === 0 && given.PUBLIC_URL === undefined) {
    faults.push('PORT holds 0, which takes any free port, so PUBLIC_URL must be set: redirect URIs are made of it.');
  }
  const workers = values.WORKERS ?? 1;
  if (workers > 1 && given.DATABASE_URL === undefined) {
    faults.push(
      `WORKERS holds ${workers}, but DATABASE_URL is not set: DATA_DIR belongs to one process; more than one worker needs DATABASE_URL.`,
    );
  }
  if (workers > 1 && given.REDIS_URL === undefined) {
    faults.push(
      `WORKERS holds ${workers}, but REDIS_URL is not set: what happens on one worker reaches the others through Redis.`,
    );
  }
  const dataDir = values.DATA_DIR ?? '.data';
  if (workers > 1 && dataDir === 'memory://' && !keys) {
    faults.push(
      `WORKERS holds ${workers}, but ENCRYPTION_KEYS is not set and DATA_DIR keeps nothing: each worker would have a key of its own.`,
    );
  }
  const { ADMIN_ISSUER: issuer, ADMIN_AUDIENCE: audience, ADMIN_JWKS_URL: jwksUrl } = values;
  const admin = issuer && audience && jwksUrl ? { issuer, audience, jwksUrl } : null;
  if (!admin && (given.ADMIN_ISSUER || given.ADMIN_AUDIENCE || given.ADMIN_JWKS_URL)) {
    faults.push('ADMIN_ISSUER, ADMIN_AUDIENCE and ADMIN_JWKS_URL go together: set all three or none.');
  }
  const config: Config = {
    production,
    host: values.HOST ?? (production ? '0.0.0.0' : '127.0.0.1'),
    port,
    publicUrl: values.PUBLIC_URL ?? `http://localhost:${port}`,
    databaseUrl: values.DATABASE_URL ?? null,
    dataDir: dataDir === 'memory://' ? null : dataDir,
    redisUrl: values.REDIS_URL ?? null,
    keyring: required('ENCRYPTION_KEYS', values.ENCRYPTION_KEYS),
    operatorKey: required('OPERATOR_KEY', values.OPERATOR_KEY),
    admin,
    trustProxy: values.TRUST_PROXY ?? 0,
    workers,
    allowedProviderHosts: values.ALLOWED_PROVIDER_HOSTS ?? [],
    defaultPlan: values.DEFAULT_PLAN ?? 'BUILDER',
    auditRetentionDays: values.AUDIT_RETENTION_DAYS ?? 365,
    trustedDocuments: values.TRUSTED_DOCUMENTS ?? null,
    graphiql: values.GRAPHIQL ?? !production,
    logLevel: values.LOG_LEVEL ?? 'info',
    tracesEndpoint: values.OTEL_EXPORTER_OTLP_ENDPOINT ?? null,
    rateLimits: values.RATE_LIMITS ?? defaultRateLimits,
  };
  if (faults.length > 0) throw new ConfigError(faults.join('\n'));
  return config;
}
