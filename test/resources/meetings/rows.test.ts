import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseEvent } from '../../../src/calendly/schemas.js';
import { fingerprint, hasInvitees } from '../../../src/resources/meetings/fingerprint.js';
import {
  externalId,
  isOlder,
  meetingRow,
  mergeRaw,
  sameJson,
  sameRow,
} from '../../../src/resources/meetings/rows.js';

const URI = 'https://api.calendly.com/scheduled_events/AAAAAAAAAAAAAAAA';
const event = (more: object) => ({ uri: URI, status: 'active', ...more });

describe('merging a newer reading', () => {
  it('keeps what it lacks and takes what it has, null included', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.dictionary(fc.string(), fc.jsonValue()),
        (known, next) => {
          const { status: _a, cancellation: _b, event_memberships: _c, ...before } = known;
          const { status: _d, cancellation: _e, event_memberships: _f, ...after } = next;
          const merged = mergeRaw(before, after);
          for (const key of Object.keys(before))
            expect(merged[key]).toEqual(Object.hasOwn(after, key) ? after[key] : before[key]);
          for (const key of Object.keys(after)) expect(merged[key]).toEqual(after[key]);
          expect(sameJson(mergeRaw(merged, after), merged)).toBe(true);
        },
      ),
    );
  });

  it("keeps the buffered times of hosts that a webhook's event lacks", () => {
    const known = event({ event_memberships: [{ user: 'u1', buffered_start_time: 'x' }, { user: 'u2' }] });
    const merged = mergeRaw(known, event({ event_memberships: [{ user: 'u1', user_name: 'Ada' }] }));
    expect(merged.event_memberships).toEqual([{ user: 'u1', buffered_start_time: 'x', user_name: 'Ada' }]);
  });

  it('drops a cancellation only when the event is not canceled any more', () => {
    const canceled = event({ status: 'canceled', cancellation: { canceled_by: 'Ada' } });
    expect(mergeRaw(canceled, event({}))).not.toHaveProperty('cancellation');
    expect(mergeRaw(canceled, event({ status: 'canceled' }))).toHaveProperty('cancellation');
  });
});

describe('a row', () => {
  it('comes of odd data without failing: what cannot be used is null, the raw stays', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...FIELDS), fc.jsonValue()), (odd) => {
        const raw = { ...odd, uri: URI };
        const row = meetingRow(raw);
        expect(row.raw).toBe(raw);
        expect(row.external_id).toBe('AAAAAAAAAAAAAAAA');
        for (const time of [row.start_time, row.end_time, row.calendly_updated_at]) {
          if (time !== null) expect(time).toMatch(/^\d{4}-.{15}\.\d{6}Z$/);
        }
      }),
    );
  });

  it('reports what is odd', () => {
    expect(parseEvent(event({ name: 5, start_time: 'soon' }))?.issues).toEqual([
      expect.stringContaining('name'),
      expect.stringContaining('start_time'),
    ]);
    expect(parseEvent(event({ location: { type: 'hologram' }, name: null }))?.issues).toEqual([]);
    expect(parseEvent({ name: 'no uri' })).toBeNull();
  });

  it('takes the time of a cancellation from the cancellation, else from the last change', () => {
    const updated_at = '2026-01-02T00:00:00.000001Z';
    const with_time = event({
      status: 'canceled',
      updated_at,
      cancellation: { created_at: '2026-01-01T00:00:00Z' },
    });
    expect(meetingRow(with_time).deleted_at).toBe('2026-01-01T00:00:00.000000Z');
    expect(meetingRow(event({ status: 'canceled', updated_at, cancellation: {} })).deleted_at).toBe(
      updated_at,
    );
  });

  it('is the same whatever the order of keys, and not when a value differs', () => {
    const row = meetingRow(event({ location: { type: 'custom', location: 'x' } }));
    expect(sameRow(row, { ...row, location: { location: 'x', type: 'custom' }, id: 7 })).toBe(true);
    expect(sameRow(row, { ...row, title: 'other' })).toBe(false);
    expect(sameJson(-0, 0)).toBe(true);
  });
});

describe('older', () => {
  it('is told to the microsecond, and unknown times are no reason to refuse', () => {
    expect(
      isOlder({ updated_at: '2026-01-01T00:00:00.000001Z' }, { updated_at: '2026-01-01T00:00:00.000002Z' }),
    ).toBe(true);
    expect(
      isOlder({ updated_at: '2026-01-01T00:00:00.1Z' }, { updated_at: '2026-01-01T00:00:00.100000Z' }),
    ).toBe(false);
    expect(isOlder({}, { updated_at: '2026-01-01T00:00:00Z' })).toBe(false);
    expect(isOlder({ updated_at: 5 }, { updated_at: '2026-01-01T00:00:00Z' })).toBe(false);
  });
});

describe('the fingerprint', () => {
  it('changes with status, time and counters, and with nothing else', () => {
    const base = {
      uri: URI,
      status: 'active',
      updated_at: '2026-01-01T00:00:00Z',
      invitees_counter: { total: 2, active: 2 },
    };
    const same = {
      ...base,
      updated_at: '2026-01-01T00:00:00.000000Z',
      name: 'x',
      location: { type: 'zoom' },
    };
    expect(fingerprint(same)).toBe(fingerprint(base));
    for (const change of [
      { status: 'canceled' },
      { updated_at: '2026-01-01T00:00:00.000001Z' },
      { invitees_counter: { total: 3, active: 2 } },
      { invitees_counter: { total: 2, active: 1 } },
    ]) {
      expect(fingerprint({ ...base, ...change })).not.toBe(fingerprint(base));
    }
  });

  it('asks for no invitees only where there never was one', () => {
    expect(hasInvitees({ uri: URI, invitees_counter: { total: 0, active: 0 } })).toBe(false);
    expect(hasInvitees({ uri: URI })).toBe(true);
  });
});

it('an id is the last segment, whatever its form', () => {
  expect(externalId(URI)).toBe('AAAAAAAAAAAAAAAA');
  expect(externalId('https://api.calendly.com/scheduled_events/f3b5a1de-0000-4000-8000-000000000000/')).toBe(
    'f3b5a1de-0000-4000-8000-000000000000',
  );
});

const FIELDS = [
  'name',
  'status',
  'start_time',
  'end_time',
  'event_type',
  'location',
  'invitees_counter',
  'created_at',
  'updated_at',
  'event_memberships',
  'event_guests',
  'cancellation',
];
