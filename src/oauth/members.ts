import type { ProviderAccount } from './authorization-server.ts';

/** The members of a provider's answer. Nothing is known of the values, and nothing is read but by {@link memberAt}. */
export type Members = Readonly<Record<string, unknown>>;

/** Reads a body as a JSON object, or as a form-encoded one (GitHub's way unless asked otherwise); null for anything else. */
export function parseMembers(body: string): Members | null {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : null;
  } catch {
    return /^(?:[\w.-]+=[^\s&<>]*(?:&|\s*$))+$/.test(body)
      ? Object.fromEntries(new URLSearchParams(body.trim()))
      : null;
  }
}

/** The value at a dotted path. Only own members count, so that `__proto__` and `constructor` lead nowhere. */
export function memberAt(value: unknown, path: string): unknown {
  let current = value;
  for (const name of path.split('.')) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, name)) return undefined;
    current = (current as Members)[name];
  }
  return current;
}

// Control characters, lone surrogates, line separators and what turns the direction of text: a label made of them could
// look like another one.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const unprintable = /[\p{Cc}\p{Cs}\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff]/gu;
const maxTextLength = 320;

/** The first of the paths that holds a text or a whole number, as a text fit for showing; null where none does. */
export function textAt(value: unknown, paths: readonly string[]): string | null {
  for (const path of paths) {
    const found = memberAt(value, path);
    if (typeof found !== 'string' && !Number.isSafeInteger(found)) continue;
    const text = String(found).replace(unprintable, '').trim().slice(0, maxTextLength).replace(unprintable, '');
    if (text !== '') return text;
  }
  return null;
}

/** Whose account the members speak of; null where they name nobody. */
export function readAccount(
  value: unknown,
  paths: { id: readonly string[]; email: readonly string[]; name: readonly string[] },
): ProviderAccount | null {
  const account = {
    id: textAt(value, paths.id),
    email: textAt(value, paths.email),
    name: textAt(value, paths.name),
  };
  return (account.id ?? account.email ?? account.name) ? account : null;
}
