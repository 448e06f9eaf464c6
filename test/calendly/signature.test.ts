import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isSignedBy, keyFingerprint, readSignature, signatureHeader } from '../../src/calendly/signature.js';

const now = 1_760_000_000_000;
/** Null if the signature is accepted, else the problem. */
function check(header: string | null, body: string | Uint8Array, keys = ['one', 'two']) {
  const signature = readSignature(header, { toleranceMs: 86_400_000, now });
  if (typeof signature === 'string') return signature;
  return isSignedBy(signature, Buffer.from(body), keys) ? null : 'wrong_signature';
}

test('a signature that follows the published recipe is accepted', () => {
  const body = '{"event":"invitee.created","name":"Zoë 🦊"}';
  const t = '1760000000';
  const v1 = createHmac('sha256', 'two').update(`${t}.${body}`).digest('hex');
  expect(check(`t=${t},v1=${v1}`, body)).toBeNull();
});

test('a signature covers the raw bytes: the same JSON in another form is rejected', () => {
  const header = signatureHeader('one', Buffer.from('{"a": 1}'), now / 1_000);
  expect(check(header, '{"a": 1}')).toBeNull();
  expect(check(header, '{"a":1}')).toBe('wrong_signature');
});

test('a signature by any of the keys is accepted, and by no other key', () => {
  const body = Buffer.from('{}');
  for (const key of ['one', 'two']) expect(check(signatureHeader(key, body, now / 1_000), body)).toBeNull();
  expect(check(signatureHeader('three', body, now / 1_000), body)).toBe('wrong_signature');
  expect(check(signatureHeader('one', body, now / 1_000), body, [])).toBe('wrong_signature');
});

test('a signature may be as old as the tolerance says, and five minutes in the future', () => {
  const body = Buffer.from('{}');
  const at = (seconds: number) => check(signatureHeader('one', body, now / 1_000 + seconds), body);
  expect([at(-86_400), at(300)]).toEqual([null, null]);
  expect([at(-86_401), at(301)]).toEqual(['expired', 'expired']);
});

test('a missing and a malformed signature are reported as such, not as a wrong one', () => {
  const hex = 'a'.repeat(64);
  expect([check(null, ''), check('', '')]).toEqual(['no_signature', 'no_signature']);
  for (const header of [
    `t=1,v1=${hex}x`,
    `v1=${hex},t=1`,
    `t=1;v1=${hex}`,
    `t=,v1=${hex}`,
    `t=1,v1=`,
    `t=1, v1=${hex}`,
  ]) {
    expect(check(header, ''), header).toBe('malformed_signature');
  }
});

test('a signature is rejected after any change of the header or the body', () => {
  const body = Buffer.from('{"event":"invitee.created"}');
  const header = signatureHeader('one', body, now / 1_000);
  const position = fc.nat(body.length - 1);
  const changedBody = fc.tuple(position, fc.integer({ min: 1, max: 255 })).map(([at, by]) => {
    const copy = Uint8Array.from(body);
    copy[at] = (copy[at] ?? 0) ^ by;
    return copy;
  });
  fc.assert(
    fc.property(changedBody, (changed) => check(header, changed) !== null),
    { numRuns: 2_000 },
  );
  const changedHeader = fc
    .tuple(fc.nat(header.length), fc.nat(3), fc.string({ maxLength: 3 }))
    .map(([at, cut, put]) => header.slice(0, at) + put + header.slice(at + cut))
    .filter((changed) => changed !== header);
  fc.assert(
    fc.property(changedHeader, (changed) => check(changed, body) !== null),
    { numRuns: 5_000 },
  );
});

test('two keys have two fingerprints, and a fingerprint does not contain its key', () => {
  expect(keyFingerprint('one')).toBe(keyFingerprint('one'));
  expect(keyFingerprint('one')).not.toBe(keyFingerprint('two'));
  expect(keyFingerprint('one')).toMatch(/^[0-9a-f]{16}$/);
});
