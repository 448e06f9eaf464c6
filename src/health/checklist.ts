/** The steps of setting up, as far as the report shows them. Pure. */
import type { PageFacts } from './page-facts.js';

/** One step; the hint is the next command while it is not done. */
export interface Step {
  done: boolean;
  text: string;
  hint: string;
}

export function checklist({ report, deliveries, hasSigningKey }: PageFacts): Step[] {
  const { users, migrations, problems } = report;
  const hasSubscription = users.some((user) => user.calendly_webhook_enabled === true);
  const hasDrift = problems.some(({ code }) => code === 'schema_drift');
  return [
    {
      done: migrations.pending.length === 0 && !hasDrift,
      text: 'The schema is complete',
      hint: 'calendly-sync migrate',
    },
    {
      done: users.length > 0,
      text: 'A Calendly account is connected',
      hint: 'CALENDLY_TOKEN=… calendly-sync sync',
    },
    {
      done: users.length > 0 && users.every((user) => user.calendly_initial_sync_complete === true),
      text: 'The first sync of each user is complete',
      hint: 'calendly-sync sync',
    },
    {
      done: users.length > 0 && users.every(({ status }) => status === 'ok'),
      text: 'Syncs run regularly',
      hint: 'calendly-sync webhook serve --sync-every 15m, or a cron job',
    },
    {
      done: hasSigningKey,
      text: 'The signing key for webhooks is set',
      hint: 'calendly-sync webhook subscribe --url https://…',
    },
    {
      done: hasSubscription,
      text: 'Calendly sends bookings as they happen',
      hint: 'calendly-sync webhook subscribe --url https://…',
    },
    { done: deliveries.length > 0, text: 'A webhook has arrived', hint: 'calendly-sync webhook ping' },
  ];
}
