import type { DomainError } from '../lib/domain-error.ts';
import { globalId } from '../lib/global-id.ts';
import { sha256Hex } from '../lib/secret.ts';
import type { ClientAuthentication } from '../oauth/authorization-server.ts';
import { RESERVED_AUTHORIZATION_PARAMS } from '../oauth/authorization.ts';
import type { ConnectorKind } from '../db/generated/prisma/enums.ts';
import { CUSTOM_PROVIDER_KEY } from '../providers/catalogue.ts';
import type { Provider } from '../providers/provider.ts';
import type { CallerApp } from '../workspaces/caller.ts';
import { ValidationError } from '../workspaces/errors.ts';
import { type AppOrigin, originsOf } from '../workspaces/origin.ts';

/** A name with a value, as it travels through the API and lies in the database. */
export interface NamedValue {
  name: string;
  value: string;
}

/** What an admin tells of a provider that is not in the catalogue. */
export type CustomProvider =
  | {
      type: 'discovery';
      issuer: string;
      clientAuthentication: ClientAuthentication;
      extraAuthorizationParams: NamedValue[];
    }
  | {
      type: 'endpoints';
      authorizationUrl: string;
      tokenUrl: string;
      revocationUrl: string | null;
      userinfoUrl: string | null;
      scopeSeparator: string;
      clientAuthentication: ClientAuthentication;
      extraAuthorizationParams: NamedValue[];
    };

/** A value at fault. */
export interface Fault {
  path: string;
  message: string;
}

/** Something the admin should know although the call succeeded. */
export interface Notice {
  path: string;
  message: string;
  /** What is wrong, where it is a known failure with a remedy. */
  problem?: DomainError;
}

/** What came out of reading an input: a value, what was changed on the way, or what is wrong with it. */
export interface Reading<T> {
  value: T;
  faults: Fault[];
  notices: Notice[];
}

/** Gathers what readings say, so that an admin hears of every fault at once. */
export function createReader() {
  const faults: { path: string; message: string }[] = [];
  const notices: Notice[] = [];
  return {
    notices,
    fault(path: string, message: string) {
      faults.push({ path, message });
    },
    take<T>(reading: Reading<T>): T {
      faults.push(...reading.faults);
      notices.push(...reading.notices);
      return reading.value;
    },
    finish() {
      if (faults.length > 0) throw new ValidationError(faults);
    },
  };
}

const maxScopes = 200;
const scopeTokenPattern = /^[\x21\x23-\x5b\x5d-\x7e]{1,500}$/; // RFC 6749 3.3
const parameterValuePattern = /^[^\p{Cc}\p{Cs}]{0,1000}$/u; // half a character (Cs) cannot be stored
const visiblePattern = /^[\x20-\x7e]+$/; // RFC 6749 appendix A.1 and A.2

/** Reads scopes, one per line: order kept, blank lines and duplicates dropped. The first line is 1. */
export function readScopes(lines: readonly string[], path = 'input.scopes'): Reading<string[]> {
  const faults: Fault[] = [];
  const scopes = new Set<string>();
  const entries = lines.flatMap((entry) => entry.split(/\r\n|\r|\n/)).map((line) => line.trim());
  entries.forEach((scope, index) => {
    if (scope === '') return;
    if (scopeTokenPattern.test(scope)) scopes.add(scope);
    else faults.push({ path: `${path}.${index}`, message: `Line ${index + 1}: ${scopeFault(scope)}` });
  });
  if (scopes.size > maxScopes) faults.push({ path, message: `At most ${maxScopes} scopes can be asked for.` });
  return { value: [...scopes], faults, notices: [] };
}

function scopeFault(scope: string): string {
  if (scope.length > 500) return 'a scope has at most 500 characters.';
  if (/\s/.test(scope)) return 'a scope cannot contain a space; enter one scope per line.';
  if (/["\\]/.test(scope)) return 'a scope cannot contain a quotation mark or a backslash (RFC 6749 3.3).';
  return 'a scope can only contain visible ASCII characters (RFC 6749 3.3).';
}

/** Reads a client id or secret as it was pasted: white space around it is dropped, and said so. Blank means none. */
export function readPasted(value: string, label: string, path: string, maxLength: number): Reading<string | null> {
  const trimmed = value.trim();
  const faults: Fault[] = [];
  if (trimmed !== '' && !visiblePattern.test(trimmed)) {
    faults.push({
      path,
      message: `The ${label} contains a line break or a character that cannot be part of it. Copy it again.`,
    });
  }
  if (trimmed.length > maxLength)
    faults.push({ path, message: `The ${label} is longer than ${maxLength} characters.` });
  const notices =
    trimmed !== '' && trimmed !== value ? [{ path, message: `White space around the ${label} was removed.` }] : [];
  return { value: trimmed || null, faults, notices };
}

/** Reads a name for people. */
export function readName(value: string, path = 'input.name'): Reading<string> {
  const name = value.trim();
  const faults: Fault[] = [];
  if (name === '') faults.push({ path, message: 'A name is needed.' });
  if (name.length > 100) faults.push({ path, message: 'A name has at most 100 characters.' });
  // biome-ignore lint: control characters are what is looked for
  if (/[\u0000-\u001f\u007f-\u009f]/.test(name))
    faults.push({ path, message: 'A name cannot contain line breaks or control characters.' });
  return { value: name, faults, notices: [] };
}

/** Reads the further settings against what the provider declares. */
export function readConnectionConfig(entries: readonly NamedValue[], provider: Provider | null): Reading<NamedValue[]> {
  const fields = new Map((provider?.configFields ?? []).map((field) => [field.name, field]));
  const faults: Fault[] = [];
  const values = new Map<string, string>();
  entries.forEach((entry, index) => {
    const path = `input.connectionConfig.${index}`;
    const field = fields.get(entry.name);
    const value = entry.value.trim();
    if (!field)
      faults.push({
        path: `${path}.name`,
        message: `This provider has no setting named ${JSON.stringify(entry.name.slice(0, 100))}.`,
      });
    else if (values.has(entry.name))
      faults.push({ path: `${path}.name`, message: `The setting ${entry.name} is given twice.` });
    else if (!new RegExp(field.pattern).test(value)) faults.push({ path: `${path}.value`, message: field.errorText });
    values.set(entry.name, value);
  });
  for (const field of fields.values()) {
    if (field.required && !values.has(field.name)) {
      faults.push({
        path: 'input.connectionConfig',
        message: `The setting ${field.name} is needed: ${field.description}`,
      });
    }
  }
  return { value: [...values].map(([name, value]) => ({ name, value })), faults, notices: [] };
}

/** Reads what an admin tells of a custom provider. `checkUrl` answers what is wrong with a URL, or null. */
export function readCustomProvider(
  custom: CustomProvider,
  checkUrl: (url: string) => string | null,
): Reading<CustomProvider> {
  const faults: Fault[] = [];
  const path = `input.custom.${custom.type}`;
  const urls: Record<string, string | null> =
    custom.type === 'discovery'
      ? { issuer: custom.issuer }
      : {
          authorizationUrl: custom.authorizationUrl,
          tokenUrl: custom.tokenUrl,
          revocationUrl: custom.revocationUrl,
          userinfoUrl: custom.userinfoUrl,
        };
  for (const [name, url] of Object.entries(urls)) {
    const fault = url === null ? null : url.length > 2048 ? 'A URL has at most 2048 characters.' : checkUrl(url);
    if (fault) faults.push({ path: `${path}.${name}`, message: fault });
  }
  if (custom.type === 'endpoints' && !/^[ ,+;]{1,2}$/.test(custom.scopeSeparator)) {
    faults.push({
      path: `${path}.scopeSeparator`,
      message: 'The scope separator is a space, a comma, a plus or a semicolon.',
    });
  }
  custom.extraAuthorizationParams.forEach((param, index) => {
    if (RESERVED_AUTHORIZATION_PARAMS.has(param.name)) {
      faults.push({
        path: `${path}.extraAuthorizationParams.${index}.name`,
        message: `${param.name} is set by the service and cannot be an extra parameter.`,
      });
    } else if (!/^[A-Za-z0-9_.-]{1,100}$/.test(param.name) || !parameterValuePattern.test(param.value)) {
      faults.push({
        path: `${path}.extraAuthorizationParams.${index}`,
        message:
          'A parameter has a name of letters, digits, _ . or -, and a value of at most 1000 characters, none of them a control character.',
      });
    }
  });
  return { value: custom, faults, notices: [] };
}

/** What a grant belongs to. Equal fingerprints: a grant given under one is good under the other. */
export function clientFingerprint(connector: {
  providerKey: string;
  clientId: string | null;
  connectionConfig: readonly NamedValue[];
  custom: CustomProvider | null;
}): string {
  const config = [...connector.connectionConfig].sort((a, b) => a.name.localeCompare(b.name));
  return sha256Hex(
    JSON.stringify([
      connector.providerKey,
      connector.clientId,
      config.map((c) => [c.name, c.value]),
      hosts(connector.custom),
    ]),
  );
}

/** The part of a custom provider that decides where secrets and tokens go. */
function hosts(custom: CustomProvider | null): unknown {
  if (!custom) return null;
  return custom.type === 'discovery'
    ? [custom.issuer]
    : [custom.authorizationUrl, custom.tokenUrl, custom.revocationUrl, custom.userinfoUrl];
}

/** Whether both stand for the same service, however its other endpoints and the client are given. */
export function isSameService(one: CustomProvider, other: CustomProvider): boolean {
  const isSame = (url: string, otherUrl: string) => new URL(url).href === new URL(otherUrl).href;
  if (one.type === 'discovery') return other.type === 'discovery' && isSame(one.issuer, other.issuer);
  if (other.type === 'discovery') return false;
  return isSame(one.authorizationUrl, other.authorizationUrl) && isSame(one.tokenUrl, other.tokenUrl);
}

/** Whether secrets would go elsewhere than before, so that the client secret must be entered again. */
export function destinationChanged(
  before: { connectionConfig: readonly NamedValue[]; custom: CustomProvider | null; providerKey: string },
  after: { connectionConfig: readonly NamedValue[]; custom: CustomProvider | null; providerKey: string },
): boolean {
  return clientFingerprint({ ...before, clientId: null }) !== clientFingerprint({ ...after, clientId: null });
}

/** Order does not matter, the set does. */
export function scopesFingerprint(scopes: readonly string[]): string {
  return sha256Hex(JSON.stringify([...new Set(scopes)].sort()));
}

/** A client that the operator holds at a provider, without its secret. */
export interface OperatorClientFacts {
  providerKey: string;
  clientId: string;
  connectionConfig: unknown;
}

/** What a grant given to the operator's client belongs to. */
export function operatorFingerprint({ providerKey, clientId, connectionConfig }: OperatorClientFacts): string {
  return clientFingerprint({
    providerKey,
    clientId,
    connectionConfig: connectionConfig as NamedValue[],
    custom: null,
  });
}

/** The columns that say which client a connector uses. */
interface ClientColumns {
  clientId: string | null;
  operatorClientId: string | null;
  connectionConfig: NamedValue[];
  clientFingerprint: string;
}

/**
 * Which client a connector uses: its own; or the operator's (null: there is none), with the settings that this is for, where the
 * connector is shared by its apps and has neither client nor settings of its own; or none, and then it is a draft. A secret goes to
 * no address that it was not given for, so a connector with settings of its own never gets the operator's.
 */
export function clientInUse(
  own: {
    providerKey: string;
    kind: ConnectorKind;
    clientId: string | null;
    hasSecret: boolean;
    connectionConfig: NamedValue[];
    custom: CustomProvider | null;
  },
  operatorClient: OperatorClientFacts | null,
): ClientColumns {
  const { clientId, connectionConfig } = own;
  const hasOwn = clientId !== null || own.hasSecret || connectionConfig.length > 0;
  if (!operatorClient || own.kind !== 'SHARED' || own.custom || hasOwn) {
    return { clientId, operatorClientId: null, connectionConfig, clientFingerprint: clientFingerprint(own) };
  }
  return {
    clientId: null,
    operatorClientId: operatorClient.clientId,
    connectionConfig: operatorClient.connectionConfig as NamedValue[],
    clientFingerprint: operatorFingerprint(operatorClient),
  };
}

/** Whether the connector has all it needs to connect somebody; else it is a draft. */
export function isComplete(connector: {
  clientId: string | null;
  clientSecretSealed: string | null;
  operatorClientId: string | null;
  custom: unknown;
}): boolean {
  if (connector.operatorClientId !== null) return true;
  const authentication = (connector.custom as CustomProvider | null)?.clientAuthentication;
  return connector.clientId !== null && (connector.clientSecretSealed !== null || authentication === 'NONE');
}

/** The callback's path: the same for all catalogue providers, one of its own for each custom connector (RFC 9700 4.4.2.2). */
export function callbackPath(connector: { id: string; providerKey: string } | null): string {
  const path = '/api/external-auth/callback';
  return connector && connector.providerKey === CUSTOM_PROVIDER_KEY
    ? `${path}/${globalId('Connector', connector.id)}`
    : path;
}

/**
 * The redirect URIs of a connector (null: of any catalogue provider's) for some apps and the service itself, each once. Through the
 * operator's client every flow comes back to the service itself: no operator can register the origins of every app.
 */
export function redirectUrisOf(
  apps: readonly Pick<CallerApp, 'origins'>[],
  publicUrl: string,
  connector: { id: string; providerKey: string; operatorClientId: string | null } | null,
): { kind: AppOrigin['kind']; uri: string }[] {
  if (connector && connector.operatorClientId !== null) return redirectUrisOf([], publicUrl, null);
  const path = callbackPath(connector);
  const byUri = new Map<string, { kind: AppOrigin['kind']; uri: string }>();
  const own = apps.flatMap((app) => originsOf(app, publicUrl)).filter(({ kind }) => kind !== 'SERVICE');
  for (const { kind, origin } of [...own, { kind: 'SERVICE' as const, origin: publicUrl }]) {
    const uri = origin + path;
    if (!byUri.has(uri)) byUri.set(uri, { kind, uri });
  }
  return [...byUri.values()];
}
