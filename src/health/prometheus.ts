/**
 * The health report as Prometheus metrics, for the textfile collector or a scrape. Pure. Labels hold user ids only:
 * metrics should not store e-mail addresses.
 */
import { type Metric, metricsText, type Sample } from '../prometheus.js';
import type { HealthReport } from './report.js';
import type { UserHealth } from './status.js';

/** The report as text; every metric begins with `calendly_sync_`. */
export function prometheusText(report: HealthReport): string {
  const { users, webhook_events: events } = report;
  const one = (name: string, help: string, value: number): Metric => ({ name, help, samples: [{ value }] });
  const perUser = (name: string, help: string, measure: (user: UserHealth) => number | null): Metric => {
    const samples = users.flatMap((user) => sample({ user_id: String(user.user_id) }, measure(user)));
    return { name, help, samples };
  };
  return metricsText('calendly_sync_', [
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
