/** The keys that secrets at rest are sealed with. The first encrypts, all decrypt. */
export interface Keyring {
  /** Every key's id, the active one's first. */
  readonly kids: readonly string[];
  readonly active: { readonly kid: string; readonly key: Buffer };
  /** Null where the keyring does not hold the key. */
  find(kid: string): Buffer | null;
}

const entryPattern = /^([A-Za-z0-9_-]{1,32}):([A-Za-z0-9+/]{43}=)$/;

/**
 * Reads `kid:base64-of-32-bytes`, comma-separated.
 * @throws Error with a sentence that names the entry by its position and never shows a key.
 */
export function parseKeyring(text: string): Keyring {
  const keys = new Map<string, Buffer>();
  const entries = text.split(',').map((entry) => entry.trim());
  entries.forEach((entry, index) => {
    const match = entryPattern.exec(entry);
    if (!match?.[1] || !match[2]) throw new Error(`entry ${index + 1} is not of the form kid:base64-of-32-bytes`);
    if (keys.has(match[1])) throw new Error(`entry ${index + 1} repeats the key id ${match[1]}`);
    keys.set(match[1], Buffer.from(match[2], 'base64'));
  });
  const [first] = keys;
  if (!first) throw new Error('there is no key');
  return { kids: [...keys.keys()], active: { kid: first[0], key: first[1] }, find: (kid) => keys.get(kid) ?? null };
}
