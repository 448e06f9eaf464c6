import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { open, seal } from '../../src/accounts/seal.js';
import { KEY_A, KEY_B } from '../support/oauth-account.js';

const ada = { field: 'access', calendlyUri: 'https://api.calendly.com/users/ADA' } as const;

test('a sealed token opens with the key that sealed it, wherever that stands in the list', () => {
  const sealed = seal([KEY_A], ada, 'secret-töken');
  expect(open([KEY_A], ada, sealed)).toBe('secret-töken');
  expect(open([KEY_B, KEY_A], ada, sealed)).toBe('secret-töken');
  expect(sealed.includes('secret')).toBe(false);
});

test('the same token sealed twice is never the same value', () => {
  expect(seal([KEY_A], ada, 'token').equals(seal([KEY_A], ada, 'token'))).toBe(false);
});

test('a sealed value moved to another account or column does not open', () => {
  const sealed = seal([KEY_A], ada, 'token');
  for (const place of [
    { ...ada, field: 'refresh' as const },
    { ...ada, calendlyUri: 'https://api.calendly.com/users/BOB' },
  ]) {
    expect(() => open([KEY_A], place, sealed)).toThrow(/was changed or moved/);
  }
});

test('a sealed value that was changed at any byte does not open', () => {
  const sealed = seal([KEY_A], ada, 'token');
  for (let index = 0; index < sealed.length; index++) {
    const changed = Buffer.from(sealed);
    changed[index] = (changed[index] ?? 0) ^ 1;
    expect(() => open([KEY_A], ada, changed)).toThrow();
  }
  expect(() => open([KEY_A], ada, sealed.subarray(0, 20))).toThrow();
  expect(() => open([KEY_A], ada, randomBytes(80))).toThrow();
});

test('an unknown key is named by its id, and no key at all says how to create one', () => {
  const sealed = seal([KEY_A], ada, 'token');
  expect(() => open([KEY_B], ada, sealed)).toThrow(/encrypted with the key [0-9a-f]{8}/);
  expect(() => seal([], ada, 'token')).toThrow(/CALENDLY_SYNC_KEY is not set/);
  expect(() => open([], ada, sealed)).toThrow(/CALENDLY_SYNC_KEY is not set/);
});
