import { inspect } from 'node:util';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseKeyring } from '../../src/crypto/keyring.ts';
import { open, seal, SealError, type SealOwner } from '../../src/crypto/seal.ts';
import { Secret } from '../../src/lib/secret.ts';
import { newKey } from '../support/at-rest.ts';

const keyring = parseKeyring(newKey('a'));
const owner: SealOwner = { table: 'credential', id: '1', field: 'accessToken' };

const anyText = fc.string({ unit: 'binary', maxLength: 300 });
const anyOwner: fc.Arbitrary<SealOwner> = fc.record({ table: anyText, id: anyText, field: anyText });

/** The failure of an opening, which must be one. */
function failure(run: () => unknown): SealError {
  try {
    run();
  } catch (error) {
    if (error instanceof SealError) return error;
    throw error;
  }
  throw new Error('it opened');
}

test('30. whatever is sealed opens for its owner, as it was', () => {
  fc.assert(
    fc.property(anyText, anyOwner, (value, whose) => {
      const sealed = seal(keyring, whose, new Secret(value));
      expect(open(keyring, whose, sealed).reveal()).toBe(value);
    }),
  );
});

test('30. no other owner opens it, nor one whose parts are the same text cut elsewhere', () => {
  fc.assert(
    fc.property(anyText, anyOwner, anyOwner, (value, whose, other) => {
      fc.pre(JSON.stringify(whose) !== JSON.stringify(other));
      const sealed = seal(keyring, whose, new Secret(value));
      expect(failure(() => open(keyring, other, sealed)).message).toContain('does not open');
    }),
  );
  const sealed = seal(keyring, { table: 'ab', id: 'c', field: 'd' }, new Secret('value'));
  for (const other of [
    { table: 'a', id: 'bc', field: 'd' },
    { table: 'ab', id: 'cd', field: '' },
    { table: 'ab', id: 'c', field: 'D' },
  ]) {
    failure(() => open(keyring, other, sealed));
  }
});

test('T8. every single character of an envelope that is changed, left out or doubled makes it fail', () => {
  const sealed = seal(keyring, owner, new Secret('a token of some length'));
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ ';
  for (let at = 0; at < sealed.length; at += 1) {
    const [before, present, after] = [sealed.slice(0, at), sealed.charAt(at), sealed.slice(at + 1)];
    for (const other of alphabet) if (other !== present) failure(() => open(keyring, owner, before + other + after));
    failure(() => open(keyring, owner, before + after));
    failure(() => open(keyring, owner, before + present + present + after));
  }
  for (const more of ['=', '==', ' ', '\n', '.', 'A', 'AAAA']) failure(() => open(keyring, owner, sealed + more));
});

test('T8. no text that was never sealed opens, and the failure repeats none of it', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 40, maxLength: 300 }), (text) => {
      fc.pre(!text.includes('.'));
      expect(failure(() => open(keyring, owner, text)).message).not.toContain(text.slice(0, -1));
    }),
  );
  for (const text of ['', '.', 'a', 'a.', 'a.AAAA', `a.${'A'.repeat(37)}`, `a.${'A'.repeat(38)}`]) {
    failure(() => open(keyring, owner, text));
  }
});

test('30. a failure names the missing key or the owner, and neither value nor key', () => {
  const sealed = seal(keyring, owner, new Secret('the-value'));
  const key = keyring.active.key.toString('base64');
  const missing = failure(() => open(parseKeyring(newKey('b')), owner, sealed));
  expect(missing.message).toBe('no key "a" in ENCRYPTION_KEYS, which sealed credential 1 accessToken');
  const wrong = failure(() => open(parseKeyring(newKey('a')), owner, sealed));
  expect(wrong.message).toBe('credential 1 accessToken does not open: it was changed, or belongs elsewhere');
  for (const error of [missing, wrong]) {
    for (const secret of ['the-value', key, sealed]) expect(inspect(error)).not.toContain(secret);
  }
});

test('30. the first key of a keyring seals, every key opens, and the envelope says which it was', () => {
  const [a, b] = [newKey('a'), newKey('b')];
  const [onlyA, both] = [parseKeyring(a), parseKeyring(`${b},${a}`)];
  const [old, fresh] = [seal(onlyA, owner, new Secret('old')), seal(both, owner, new Secret('fresh'))];
  expect([old.slice(0, 2), fresh.slice(0, 2)]).toEqual(['a.', 'b.']);
  expect(open(both, owner, old).reveal()).toBe('old');
  expect(open(both, owner, fresh).reveal()).toBe('fresh');
  failure(() => open(onlyA, owner, fresh));
  failure(() => open(both, owner, `a${fresh.slice(1)}`)); // the key id is bound as well
});

test('T9. no nonce comes twice in a hundred thousand seals, and every bit of it is as often set as not', () => {
  const seals = process.env.STRYKER_MUTATOR_WORKER === undefined ? 100_000 : 1_000; // a mutant is met by fewer
  const nonces = new Set<string>();
  const set = Array.from({ length: 96 }, () => 0);
  for (let count = 0; count < seals; count += 1) {
    const nonce = Buffer.from(seal(keyring, owner, new Secret('value')).slice(2, 18), 'base64url');
    nonces.add(nonce.toString('hex'));
    for (let bit = 0; bit < 96; bit += 1) set[bit] = (set[bit] ?? 0) + (((nonce[bit >> 3] ?? 0) >> (bit & 7)) & 1);
  }
  expect(nonces.size).toBe(seals);
  // ten standard deviations: never by chance, always where a bit is stuck
  for (const ones of set) expect(Math.abs(ones - seals / 2)).toBeLessThan(10 * Math.sqrt(seals / 4));
});

test('T10. a Secret tells its value to nobody who does not ask for it', () => {
  const secret = new Secret('the-value');
  const texts = [String(secret), `${JSON.stringify({ secret })}`, inspect(secret), inspect({ secret }, { depth: 9 })];
  for (const text of texts) expect(text).not.toContain('the-value');
  expect(Object.keys(secret)).toEqual([]);
  expect(secret.reveal()).toBe('the-value');
});
