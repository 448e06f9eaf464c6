/**
 * The health report as Prometheus metrics, for the textfile collector or a scrape. Pure. Labels hold user ids only:
 * metrics should not store e-mail addresses.
 */
import { type Metric, metricsText, type Sample } from '../prometheus.js';
import type { HealthReport } from './report.js';
import type { UserHealth } from './status.js';

/** The report as text; every metric begins with `calendly_sync_`. Null: there is none, because something is away. */
export function prometheusText(report: HealthReport | null): string {
  const one = (name: string, help: string, value: number): Metric => ({ name, help, samples: [{ value }] });
  const up = one('up', '1 if the database could be asked.', Number(report !== null));
  if (report === null) return metricsText('calendly_sync_', [up]);
  const { users, webhook_events: events, deliveries, rate_limit: rate } = report;
  const perUser = (name: string, help: string, measure: (user: UserHealth) => number | null): Metric => {
    const samples = users.flatMap((user) => sample({ user_id: String(user.user_id) }, measure(user)));
    return { name, help, samples };
  };
  return metricsText('calendly_sync_', [
    up,
    {
      name: 'build_info',
      help: 'The version of calendly-sync.',
      samples: [{ value: 1, labels: { version: report.version } }],
    },
    one('healthy', '1 if there is no problem at all.', Number(report.healthy)),
    one('checked_timestamp_seconds', 'When this was measured.', seconds(report.checked_at) ?? 0),
    one('migrations_pending', 'Migrations that are not applied.', report.migrations.pending.length),
    one('problems', 'Problems that do not belong to a single user.', report.problems.length),
    one('users_not_connected', 'Rows of users without a Calendly account.', report.users_not_connected),
    perUser('user_healthy', '1 if the user has no problem.', ({ problems }) => Number(problems.length === 0)),
    perUser('last_sync_timestamp_seconds', 'When the last complete sync of the user ended.', (user) =>
      seconds(user.last_calendly_sync),
    ),
    perUser('oldest_reading_timestamp_seconds', 'The oldest reading of the invitees of a meeting.', (user) =>
      seconds(user.oldest_reading),
    ),
    perUser('max_age_seconds', 'The max age of the last complete sync.', ({ max_age_s }) => max_age_s),
    perUser('last_run_success', '1 if the last recorded run did not fail.', ({ last_run: run }) =>
      run === null ? null : Number(run.status !== 'failed' && run.status !== 'crashed'),
    ),
    perUser('last_run_duration_seconds', 'How long the last recorded run took.', ({ last_run: run }) =>
      run?.finished_at ? (+run.finished_at - +run.started_at) / 1_000 : null,
    ),
    perUser(
      'last_run_requests',
      'Requests of the last recorded run.',
      ({ last_run }) => last_run?.requests ?? null,
    ),
    {
      name: 'runs_24h',
      help: 'Recorded runs of the last 24 hours; a sync that changed nothing is recorded once a day.',
      samples: users.flatMap(({ user_id, runs_24h: { complete, failed } }) => [
        ...sample({ user_id: String(user_id), status: 'complete' }, complete),
        ...sample({ user_id: String(user_id), status: 'failed' }, failed),
      ]),
    },
    perUser('next_meeting_timestamp_seconds', 'When the next meeting starts.', ({ next_meeting: next }) =>
      seconds(next?.start_time ?? null),
    ),
    perUser('initial_sync_complete', '1 after the first full sync.', (user) =>
      user.calendly_initial_sync_complete === null ? null : Number(user.calendly_initial_sync_complete),
    ),
    {
      name: 'meetings',
      help: 'Stored meetings.',
      samples: users.flatMap(({ user_id, active_calendly_meetings, deleted_calendly_meetings }) => [
        ...sample({ user_id: String(user_id), state: 'active' }, active_calendly_meetings),
        ...sample({ user_id: String(user_id), state: 'deleted' }, deleted_calendly_meetings),
      ]),
    },
    perUser(
      'webhook_synced_meetings',
      'Meetings that a webhook delivered.',
      (user) => user.webhook_synced_meetings,
    ),
    {
      name: 'webhook_events',
      help: 'Stored webhook events.',
      samples: events.flatMap(({ event_type, count }) => sample({ event_type }, count)),
    },
    one('webhook_events_failed', 'Webhook events that could not be applied.', deliveries.failed),
    one('webhook_events_waiting', 'Webhook events that wait for a lock.', deliveries.waiting),
    one('webhook_requests_rejected_24h', 'Requests that were rejected in 24 hours.', deliveries.rejected_24h),
    {
      name: 'rate_limit_remaining',
      help: 'Requests that the user of CALENDLY_TOKEN has left in this minute.',
      samples: sample({}, rate?.remaining ?? null),
    },
    perUser(
      'webhook_last_delay_seconds',
      'From the change to its delivery, of the newest.',
      ({ last_delivery: last }) => (last?.delay_ms == null ? null : last.delay_ms / 1_000),
    ),
    {
      name: 'webhook_last_received_timestamp_seconds',
      help: 'When the newest webhook event was received.',
      samples: events.flatMap(({ event_type, last_received }) =>
        sample({ event_type }, seconds(last_received)),
      ),
    },
  ]);
}

function sample(labels: Record<string, string>, value: number | null): Sample[] {
  return value === null ? [] : [{ labels, value }];
}

function seconds(time: Date | null): number | null {
  return time === null ? null : time.getTime() / 1_000;
}
