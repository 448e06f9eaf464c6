import { expect, test } from 'vitest';
import { prometheusText } from '../../src/health/prometheus.js';
import type { HealthReport } from '../../src/health/report.js';

const report: HealthReport = {
  healthy: false,
  checked_at: new Date('2026-06-01T12:00:00.500Z'),
  users: [
    {
      user_id: 'a"b\\c\nd',
      email: 'dana@example.com',
      last_calendly_sync: new Date('2026-06-01T11:00:00Z'),
      calendly_initial_sync_complete: true,
      calendly_webhook_enabled: false,
      active_calendly_meetings: 148,
      deleted_calendly_meetings: 27,
      webhook_synced_meetings: 5,
      last_meeting_sync: null,
      oldest_reading: null,
      webhook_events_received: 5,
      status: 'error',
      syncing: false,
      problems: [{ code: 'stale', message: '', hint: '' }],
      max_age_s: 3_600,
      last_run: null,
      runs_24h: { complete: 6, failed: 1, hours: [] },
      changes_24h: { booked: 0, canceled: 0 },
      next_meeting: null,
      last_delivery: null,
    },
  ],
  users_not_connected: 10_000,
  problems: [],
  warnings: [],
  resources: [],
  webhook_events: [{ event_type: 'invitee.created', count: 3, last_received: null }],
  webhook_subscriptions: [],
  deliveries: { failed: 2, waiting: 0, rejected_24h: 0 },
  migrations: { applied: [], pending: [{ version: '022', name: 'x' }] },
  runs_24h: { complete: 6, failed: 1 },
  last_run: null,
  next_meeting: null,
  token: { state: 'none', email: null, error: null },
  rate_limit: { limit: 500, remaining: 482, resets_at: new Date('2026-06-01T12:01:00Z') },
  database: 'db.example.com/app',
  schema: 'public',
  database_bytes: null,
  version: '0.1.0',
};

test('every metric has a header, a number for each sample, and escaped labels', () => {
  const lines = prometheusText(report).trimEnd().split('\n');
  expect(lines).toContain('calendly_sync_healthy 0');
  expect(lines).toContain('calendly_sync_checked_timestamp_seconds 1780315200.5');
  expect(lines).toContain('calendly_sync_meetings{user_id="a\\"b\\\\c\\nd",state="active"} 148');
  expect(lines).toContain('calendly_sync_webhook_events{event_type="invitee.created"} 3');
  expect(lines).toContain('calendly_sync_migrations_pending 1');
  expect(lines).toContain('calendly_sync_build_info{version="0.1.0"} 1');
  expect(lines).toContain('calendly_sync_runs_24h{user_id="a\\"b\\\\c\\nd",status="failed"} 1');
  expect(lines).toContain('calendly_sync_rate_limit_remaining 482');
  expect(lines.join('\n')).not.toContain('dana@example.com');
  const samples = lines.filter((line) => !line.startsWith('#'));
  for (const line of samples) expect(line).toMatch(/^[a-z_]+(?:24h)?(\{.*\})? -?[\d.e+]+$/);
  const named = new Set(samples.map((line) => /^[a-z_0-9]+/.exec(line)?.[0]));
  expect(lines.filter((line) => line.startsWith('# TYPE'))).toHaveLength(named.size);
  expect(named).not.toContain('calendly_sync_webhook_last_received_timestamp_seconds');
});

test('without a report the metrics say only that there is none', () => {
  const [, , line, ...rest] = prometheusText(null).trimEnd().split('\n');
  expect([line, rest]).toEqual(['calendly_sync_up 0', []]);
});
