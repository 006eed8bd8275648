import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { developmentKeys } from '../../src/crypto/development-keys.ts';
import { parseKeyring } from '../../src/crypto/keyring.ts';
import { newKey } from '../support/at-rest.ts';

const someKey = randomBytes(32).toString('base64');

test('30. a keyring holds the keys in order: the first is active, each is found by its id', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.stringMatching(/^[A-Za-z0-9_-]{1,32}$/), { minLength: 1, maxLength: 5 }),
      fc.constantFrom(',', ' , ', ',\n'),
      (kids, separator) => {
        const keys = kids.map(() => randomBytes(32));
        const keyring = parseKeyring(kids.map((kid, at) => `${kid}:${keys[at]?.toString('base64')}`).join(separator));
        expect(keyring.active).toEqual({ kid: kids[0], key: keys[0] });
        expect(kids.map((kid) => keyring.find(kid))).toEqual(keys);
        expect(keyring.find(`${kids[0]}x`)).toBeNull();
      },
    ),
  );
});

test.each([
  ['nothing', '', 'entry 1 is not of the form kid:base64-of-32-bytes'],
  ['a key without an id', someKey, 'entry 1 is not of the form kid:base64-of-32-bytes'],
  ['an empty id', `:${someKey}`, 'entry 1 is not of the form kid:base64-of-32-bytes'],
  [
    'an id with a dot, which ends it in the envelope',
    `a.b:${someKey}`,
    'entry 1 is not of the form kid:base64-of-32-bytes',
  ],
  ['an id of 33 characters', `${'a'.repeat(33)}:${someKey}`, 'entry 1 is not of the form kid:base64-of-32-bytes'],
  ['31 bytes', `a:${randomBytes(31).toString('base64')}`, 'entry 1 is not of the form kid:base64-of-32-bytes'],
  ['33 bytes', `a:${randomBytes(33).toString('base64')}`, 'entry 1 is not of the form kid:base64-of-32-bytes'],
  ['hex', `a:${randomBytes(32).toString('hex')}`, 'entry 1 is not of the form kid:base64-of-32-bytes'],
  ['more behind a key', `a:${someKey}a`, 'entry 1 is not of the form kid:base64-of-32-bytes'],
  ['a trailing comma', `a:${someKey},`, 'entry 2 is not of the form kid:base64-of-32-bytes'],
  ['the same id twice', `${newKey('a')},${newKey('b')},${newKey('a')}`, 'entry 3 repeats the key id a'],
])('T26. ENCRYPTION_KEYS with %s is refused with a sentence that shows no key', (_what, text, sentence) => {
  let message = '';
  try {
    parseKeyring(text);
  } catch (error) {
    message = (error as Error).message;
  }
  expect(message).toBe(sentence);
});

test('T8. development keys are made once, for their owner alone to read', () => {
  const folder = mkdtempSync(join(tmpdir(), 'app-user-connectors-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const dataDir = join(folder, 'data');
  const made = developmentKeys(dataDir);
  const file = join(dataDir, 'encryption-keys');
  expect(parseKeyring(made).active.kid).toBe('dev');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(statSync(dataDir).mode & 0o777).toBe(0o700);
  expect(readFileSync(file, 'utf8')).toBe(made);

  chmodSync(file, 0o400);
  expect(developmentKeys(dataDir)).toBe(made);
});

test('T8. without a folder development keys live in memory, and are others each time', () => {
  const [first, second] = [developmentKeys(null), developmentKeys(null)];
  expect(parseKeyring(first).active.kid).toBe('dev');
  expect(first).not.toBe(second);
});
