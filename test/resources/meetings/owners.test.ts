/** Whose meeting an event is, on every path. */
import { expect, test } from 'vitest';
import { diffMeeting, type Observation } from '../../../src/resources/meetings/diff.js';
import { hostsOf, ownership } from '../../../src/resources/meetings/owners.js';
import { EVENT_URI, HOST_URI } from './history.js';
import { applyTo, databaseTime, listing } from './stored.js';

const OTHER = 'https://api.calendly.com/users/OTHER001';
const event = (event_memberships?: unknown) => ({
  uri: EVENT_URI,
  status: 'active',
  updated_at: '2026-02-01T08:00:00Z',
  ...(event_memberships === undefined ? {} : { event_memberships }),
});

test('an event is hosted by a user among its hosts, and reassigned if it names only others', () => {
  expect(ownership(event([{ user: OTHER }, { user: HOST_URI }]), HOST_URI)).toBe('hosted');
  expect(ownership(event([{ user: `${HOST_URI}/` }]), HOST_URI)).toBe('hosted');
  expect(ownership(event([{ user: OTHER }]), HOST_URI)).toBe('reassigned');
});

test('an event that names no hosts belongs to whom it belonged before', () => {
  for (const odd of [undefined, null, [], {}, 'me', [null], [{}], [{ user: '' }, { user: 7 }]]) {
    expect(ownership(event(odd), HOST_URI)).toBe('unknown');
    expect(hostsOf(event(odd))).toEqual([]);
  }
  expect(hostsOf(null)).toEqual([]);
});

const seen = (memberships: unknown, source: Observation['source'], seconds = 1): Observation => ({
  ...listing({ event: event(memberships), invitees: [] }, databaseTime(seconds), { source }),
  ...(source === 'webhook' ? { requestedAt: null } : {}),
  invitees: null,
});

for (const source of ['listing', 'request', 'webhook'] as const) {
  test(`a meeting that has other hosts is marked as reassigned (${source})`, () => {
    const before = applyTo(null, seen([{ user: HOST_URI }], 'listing', -1), databaseTime(0));
    expect(diffMeeting(before, seen([{ user: OTHER }], source))).toMatchObject({
      outcome: 'deleted',
      row: { is_deleted: true, deleted_reason: 'reassigned', status: 'active' },
      before: { deleted_reason: null },
      after: { deleted_reason: 'reassigned' },
    });
    for (const unknown of [undefined, [], null])
      expect(diffMeeting(before, seen(unknown, source))?.after.is_deleted).toBe(false);
  });

  test(`a meeting of other hosts is not stored (${source})`, () => {
    expect(diffMeeting(null, seen([{ user: OTHER }], source))).toBeNull();
    expect(diffMeeting(null, seen(undefined, source))?.outcome).toBe('new');
  });
}

test('a reassigned meeting is restored by a listing that names its user as a host again, by nothing else', () => {
  const before = applyTo(null, seen([{ user: HOST_URI }], 'listing', -1), databaseTime(0));
  const reassigned = applyTo(before, seen([{ user: OTHER }], 'request'), databaseTime(2));
  expect(diffMeeting(reassigned, seen([{ user: OTHER }], 'request', 3))?.row).toBeNull();
  expect(diffMeeting(reassigned, seen([{ user: OTHER }], 'listing', 3))?.row).toBeNull();
  expect(diffMeeting(reassigned, seen([{ user: HOST_URI }], 'request', 3))?.outcome).toBe('updated');
  expect(diffMeeting(reassigned, seen([{ user: HOST_URI }], 'listing', 3))?.outcome).toBe('restored');
});
