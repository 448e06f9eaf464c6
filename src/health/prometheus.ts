/**
 * The health report in the Prometheus text format, for the textfile collector or a scrape. Pure. Users are told apart by id
 * only: an e-mail is nothing that metrics should keep.
 */
import type { HealthReport } from './report.js';
import type { UserHealth } from './status.js';

interface Metric {
  name: string;
  help: string;
  samples: { labels: Record<string, string>; value: number }[];
}

/** The report as text; every metric begins with `calendly_sync_`. */
export function prometheusText(report: HealthReport): string {
  return `${metricsOf(report).filter(hasSamples).map(text).join('\n')}\n`;
}

function metricsOf(report: HealthReport): Metric[] {
  const { users } = report;
  const one = (name: string, help: string, value: number): Metric => ({
    name,
    help,
    samples: [{ labels: {}, value }],
  });
  const perUser = (name: string, help: string, value: (user: UserHealth) => number | null): Metric => ({
    name,
    help,
    samples: users.flatMap((user) => sample({ user_id: String(user.user_id) }, value(user))),
  });
  return [
    one('healthy', '1 when there is no problem at all.', Number(report.healthy)),
    one('checked_timestamp_seconds', 'When this was measured.', seconds(report.checked_at) ?? 0),
    one('migrations_pending', 'Migrations that are not applied.', report.migrations.pending.length),
    one('problems', 'Problems of no single user.', report.problems.length),
    one('users_not_connected', 'Rows of users without a Calendly account.', report.users_not_connected),
    perUser('user_healthy', '1 when the user has no problem.', ({ problems }) =>
      Number(problems.length === 0),
    ),
    perUser('last_sync_timestamp_seconds', 'When the user was last synced to the end.', (user) =>
      seconds(user.last_calendly_sync),
    ),
    perUser('initial_sync_complete', '1 after the first full sync.', (user) =>
      user.calendly_initial_sync_complete === null ? null : Number(user.calendly_initial_sync_complete),
    ),
    {
      name: 'meetings',
      help: 'Meetings that are stored.',
      samples: users.flatMap(({ user_id: id, active_calendly_meetings, deleted_calendly_meetings }) => [
        { labels: { user_id: String(id), state: 'active' }, value: active_calendly_meetings },
        { labels: { user_id: String(id), state: 'deleted' }, value: deleted_calendly_meetings },
      ]),
    },
    perUser(
      'webhook_synced_meetings',
      'Meetings that a webhook brought.',
      (user) => user.webhook_synced_meetings,
    ),
    {
      name: 'webhook_events',
      help: 'Webhook events that are kept.',
      samples: report.webhook_events.map(({ event_type, count }) => ({
        labels: { event_type },
        value: count,
      })),
    },
    {
      name: 'webhook_last_received_timestamp_seconds',
      help: 'When the newest webhook event came.',
      samples: report.webhook_events.flatMap(({ event_type, last_received }) =>
        sample({ event_type }, seconds(last_received)),
      ),
    },
  ];
}

function sample(labels: Record<string, string>, value: number | null) {
  return value === null ? [] : [{ labels, value }];
}

function seconds(time: Date | null): number | null {
  return time === null ? null : time.getTime() / 1_000;
}

function hasSamples({ samples }: Metric): boolean {
  return samples.length > 0;
}

function text({ name, help, samples }: Metric): string {
  const full = `calendly_sync_${name}`;
  const lines = samples.map(({ labels, value }) => `${full}${labelText(labels)} ${value}`);
  return [`# HELP ${full} ${help}`, `# TYPE ${full} gauge`, ...lines].join('\n');
}

function labelText(labels: Record<string, string>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

/** The format knows three escapes in label values. */
function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
