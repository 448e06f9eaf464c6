import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FULL_LISTING_EVERY_MS, planRun, shiftMonths } from '../../src/sync/plan.js';

const NOW = Date.parse('2026-11-22T12:00:00Z');
const iso = (ms: number) => new Date(ms).toISOString();

test('a run is full until the initial sync is complete, and always if 022 is not applied', () => {
  const initial = planRun({ now: NOW, initialComplete: false, lastFullListingAt: NOW });
  expect(initial).toMatchObject({
    mode: 'full',
    fullWindow: true,
    updatesSyncState: true,
    reason: 'initial',
  });
  expect([initial.window.from, initial.window.to].map(iso)).toEqual([
    '2024-11-22T12:00:00.000Z',
    '2027-11-22T12:00:00.000Z',
  ]);
  expect(planRun({ now: NOW, initialComplete: null, lastFullListingAt: NOW })).toMatchObject({
    mode: 'full',
    reason: 'no_sync_state',
  });
});

test('after the initial sync a run is incremental, 3 months back and 6 forward', () => {
  const { mode, window, fullWindow } = planRun({
    now: NOW,
    initialComplete: true,
    lastFullListingAt: NOW - 1,
  });
  expect({ mode, fullWindow }).toEqual({ mode: 'incremental', fullWindow: false });
  expect([window.from, window.to].map(iso)).toEqual(['2026-08-22T12:00:00.000Z', '2027-05-22T12:00:00.000Z']);
});

test('a run lists the full window if its last listing is a day old, missing or in the future', () => {
  for (const lastFullListingAt of [NOW - FULL_LISTING_EVERY_MS, null, NOW + 2 * FULL_LISTING_EVERY_MS]) {
    expect(planRun({ now: NOW, initialComplete: true, lastFullListingAt })).toMatchObject({
      mode: 'incremental',
      fullWindow: true,
      reason: 'full_listing_due',
    });
  }
});

test('a custom window changes no sync state', () => {
  const plan = planRun({
    now: NOW,
    initialComplete: false,
    lastFullListingAt: null,
    customWindow: { since: 1, until: 2 },
  });
  expect(plan).toMatchObject({ updatesSyncState: false, fullWindow: false, window: { from: 1, to: 2 } });
});

test('a day that the month does not have becomes its last day', () => {
  expect(iso(shiftMonths(Date.parse('2024-02-29T10:00:00Z'), -24))).toBe('2022-02-28T10:00:00.000Z');
  expect(iso(shiftMonths(Date.parse('2025-08-31T10:00:00Z'), 6))).toBe('2026-02-28T10:00:00.000Z');
});

test('adding months keeps the time of day and moves by exactly that many months', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4e12 }), fc.integer({ min: -60, max: 60 }), (ms, months) => {
      const before = new Date(ms);
      const after = new Date(shiftMonths(ms, months));
      expect((after.getTime() - ms) % 86_400_000 === 0).toBe(true);
      const distance = (date: Date) => date.getUTCFullYear() * 12 + date.getUTCMonth();
      expect(distance(after) - distance(before)).toBe(months);
      expect(after.getUTCDate()).toBeLessThanOrEqual(before.getUTCDate());
    }),
  );
});
