import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { Secret } from '../lib/secret.ts';
import type { Keyring } from './keyring.ts';

/** The row and field that a sealed value belongs to. It opens nowhere else. */
export interface SealOwner {
  table: string;
  id: string;
  field: string;
}

/** A sealed value could not be opened: the key is missing, the owner is another, or a byte was changed. */
export class SealError extends Error {
  override readonly name = 'SealError';
}

const nonceBytes = 12;
const tagBytes = 16;

/**
 * Seals a secret for its owner: AES-256-GCM under the keyring's active key, 96 random bits of nonce (NIST SP 800-38D 8.2.2),
 * the owner as associated data. Answers `kid.base64url(nonce ‖ ciphertext ‖ tag)`.
 */
export function seal(keyring: Keyring, owner: SealOwner, secret: Secret): string {
  const { kid, key } = keyring.active;
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes });
  cipher.setAAD(associatedData(owner, kid));
  const sealed = Buffer.concat([nonce, cipher.update(secret.reveal(), 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return `${kid}.${sealed.toString('base64url')}`;
}

/**
 * Opens what {@link seal} made for the same owner.
 * @throws SealError naming the key id or the owner, never a value.
 */
export function open(keyring: Keyring, owner: SealOwner, sealed: string): Secret {
  const dot = sealed.indexOf('.');
  const kid = sealed.slice(0, Math.max(0, dot)); // without a dot it is no envelope, and must not be told
  const key = keyring.find(kid);
  if (!key) throw new SealError(`no key ${JSON.stringify(kid)} in ENCRYPTION_KEYS, which sealed ${describe(owner)}`);
  const encoded = sealed.slice(dot + 1);
  const bytes = Buffer.from(encoded, 'base64url');
  try {
    if (bytes.toString('base64url') !== encoded) throw new SealError('not canonical'); // else the last character could be altered unseen
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes });
    decipher.setAAD(associatedData(owner, kid));
    decipher.setAuthTag(bytes.subarray(-tagBytes));
    const text = decipher.update(bytes.subarray(nonceBytes, -tagBytes));
    decipher.final(); // verifies; GCM has held nothing back
    return new Secret(text.toString('utf8'));
  } catch {
    throw new SealError(`${describe(owner)} does not open: it was changed, or belongs elsewhere`);
  }
}

function associatedData(owner: SealOwner, kid: string): Buffer {
  return Buffer.from(JSON.stringify([owner.table, owner.id, owner.field, kid]));
}

function describe(owner: SealOwner): string {
  return `${owner.table} ${owner.id} ${owner.field}`;
}
