import { hash } from 'node:crypto';
import { inspect } from 'node:util';

/** A value that must never be printed: every way of turning it into text but {@link Secret.reveal} gives `[secret]`. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The value itself. Call this only where it leaves: into a request, a cipher, or the one field made for it. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  [inspect.custom](): string {
    return '[secret]';
  }
}

/** SHA-256 of a text, as 64 hex digits: how states, codes and keys are stored. */
export function sha256Hex(value: string): string {
  return hash('sha256', value, 'hex');
}

/** The first 16 hex digits of a token's SHA-256: names a token without telling it. */
export function tokenFingerprint(token: string): string {
  return sha256Hex(token).slice(0, 16);
}
