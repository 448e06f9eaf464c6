import { describe, expect, test } from 'vitest';
import type { UserState } from '../../src/database/tables/health-queries.js';
import { type AssessOptions, userHealth } from '../../src/health/status.js';

const now = new Date('2026-06-01T12:00:00Z');
const ago = (minutes: number) => new Date(now.getTime() - minutes * 60_000);
const options: AssessOptions = { now, maxAgeMs: 24 * 3_600_000, holderRuns: null };

const run = (status: string, more: Partial<NonNullable<UserState['last_run']>> = {}) => ({
  status,
  mode: 'incremental',
  started_at: ago(11),
  finished_at: ago(10),
  requests: 2,
  error_code: null,
  error: null,
  ...more,
});

const fine: UserState = {
  user_id: '1',
  email: 'dana@example.com',
  account_id: '1',
  last_calendly_sync: ago(10),
  calendly_initial_sync_complete: true,
  calendly_webhook_enabled: false,
  active_calendly_meetings: 1,
  deleted_calendly_meetings: 0,
  webhook_synced_meetings: 0,
  last_meeting_sync: ago(10),
  oldest_reading: ago(10),
  webhook_events_received: 0,
  lease_owner: null,
  lease_until: null,
  last_full_listing_at: ago(60),
  last_run: run('complete'),
  runs_24h: { complete: 1, failed: 0, hours: [] },
  median_gap_s: null,
  changes_24h: { booked: 0, canceled: 0 },
  next_meeting: null,
  last_delivery: null,
  pending_failed: 0,
  pending_error: null,
};

const assess = (state: Partial<UserState>, more: Partial<AssessOptions> = {}) => {
  const { status, problems, syncing } = userHealth({ ...fine, ...state }, { ...options, ...more });
  return { status, syncing, codes: problems.map(({ code }) => code), problems };
};

describe('assessing a user', () => {
  test('a user with a recent complete sync is ok', () => {
    expect(assess({})).toEqual({ status: 'ok', syncing: false, codes: [], problems: [] });
  });

  test('a user without an account has status never, and the hint says how to connect', () => {
    expect(assess({ account_id: null })).toMatchObject({ status: 'never', codes: ['not_connected'] });
  });

  test('a user without a complete sync has status never', () => {
    const state = { last_calendly_sync: null, calendly_initial_sync_complete: false, last_run: null };
    expect(assess(state)).toMatchObject({ status: 'never', codes: ['never_synced'] });
  });

  test('a user whose last sync is too old is stale, with both ages and the command', () => {
    const { status, problems } = assess({ last_calendly_sync: ago(3 * 24 * 60) });
    expect(status).toBe('stale');
    expect(problems).toEqual([
      {
        code: 'stale',
        message: 'the last complete sync was 3 days ago; the maximum age is 24 h',
        hint: 'calendly-sync sync --user dana@example.com',
      },
    ]);
  });

  test('a user exactly at the maximum age is not stale yet', () => {
    expect(assess({ last_calendly_sync: ago(24 * 60) }).status).toBe('ok');
  });

  test('without a maximum age it is four times the usual gap between syncs, from 1 to 24 hours', () => {
    const staleAt = (median_gap_s: number | null, minutes: number) =>
      assess({ median_gap_s, last_calendly_sync: ago(minutes) }, { maxAgeMs: null }).status;
    expect([staleAt(1_800, 121), staleAt(1_800, 119)]).toEqual(['stale', 'ok']);
    expect([staleAt(60, 61), staleAt(60, 59)]).toEqual(['stale', 'ok']);
    expect([staleAt(86_400, 24 * 60 + 1), staleAt(86_400, 24 * 60 - 1)]).toEqual(['stale', 'ok']);
    expect([staleAt(null, 24 * 60 + 1), staleAt(null, 24 * 60 - 1)]).toEqual(['stale', 'ok']);
  });

  test('a user whose last run failed has status error, with code, message and time', () => {
    const failed = run('failed', { error_code: 'calendly_unauthorized', error: 'The token was revoked.' });
    const { status, problems } = assess({ last_run: failed });
    expect(status).toBe('error');
    expect(problems[0]?.message).toBe(
      'the last sync failed 10 min ago (calendly_unauthorized): The token was revoked.',
    );
    expect(problems[0]?.hint).toContain('Create a new token');
  });

  test('a run that a signal stopped does not count; the last complete one does', () => {
    expect(assess({ last_run: run('stopped') }).status).toBe('ok');
    expect(assess({ last_run: run('stopped'), last_calendly_sync: null }).codes).toEqual(['never_synced']);
  });

  test('a run whose process is gone has crashed', () => {
    const running = run('running', { finished_at: null });
    const lease = { lease_owner: '{}', lease_until: ago(-2) };
    expect(assess({ last_run: running, ...lease })).toMatchObject({ status: 'ok', syncing: true, codes: [] });
    const crashed = { status: 'error', syncing: false, codes: ['sync_crashed'] };
    expect(assess({ last_run: running, ...lease }, { holderRuns: false })).toMatchObject(crashed);
    expect(assess({ last_run: running, ...lease, lease_until: ago(1) })).toMatchObject(crashed);
    expect(assess({ last_run: running })).toMatchObject(crashed);
    expect(assess({ last_run: run('crashed') })).toMatchObject(crashed);
  });

  test('a pending request for a full sync is a problem', () => {
    expect(assess({ calendly_initial_sync_complete: false }).codes).toEqual(['initial_sync_incomplete']);
  });

  test('a full window that was not listed for two days is a problem', () => {
    expect(assess({ last_full_listing_at: ago(48 * 60 + 1) }).codes).toEqual(['full_listing_overdue']);
    expect(assess({ last_full_listing_at: null }).codes).toEqual(['full_listing_overdue']);
  });

  test('meetings that could not be updated are counted, with an error', () => {
    const { problems } = assess({ pending_failed: 2, pending_error: 'HTTP 500' });
    expect(problems[0]?.message).toBe('2 meetings could not be updated: HTTP 500');
  });

  test('a name with shell characters is quoted in the hint', () => {
    const { problems } = assess({ last_calendly_sync: ago(9_999), email: "o'hara; rm -rf /@example.com" });
    expect(problems[0]?.hint).toBe(`calendly-sync sync --user 'o'\\''hara; rm -rf /@example.com'`);
  });
});
