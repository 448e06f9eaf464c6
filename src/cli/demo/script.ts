/** The demo's story: what is told, in which order, and what is checked at its end. */
import { CalendlySyncError } from '../../errors.js';
import type { CommandContext } from '../command.js';
import { oneLine } from '../terminal/sanitize.js';
import { type Expected, type Happening, letThingsHappen } from './activity.js';
import type { Ran, Stage } from './environment.js';
import { type BookedByWebhook, bookByWebhook } from './webhook.js';

/** What the demo answers with --json. */
export interface Told {
  steps: (Ran | { happened: (Happening | BookedByWebhook)[] })[];
}

/** Plays the whole story. @throws CalendlySyncError when a command fails or finds something else than what was done */
export async function tell({ output }: CommandContext, stage: Stage): Promise<Told> {
  const { calendly, settings, folder } = stage;
  const steps: Told['steps'] = [];
  const say = (title: string, ...lines: string[]) => {
    output.result(`\n── ${title} ──`, 'strong');
    for (const line of lines) output.result(line);
  };
  const run = async (...words: string[]) => {
    const ran = await stage.command(words);
    steps.push(ran);
    return ran;
  };

  say(
    'A Calendly to try against',
    'Calendly has no test environment, so calendly-sync brings a local one. It runs',
    `now, with the meetings of ${calendly.hosts[0]?.name}, and these settings lead to it:`,
    ...Object.entries(settings).map(([name, value]) => `  ${name}=${value}`),
    'DATABASE_URL is not set: the database is an embedded Postgres in that folder.',
    'Making it takes some seconds, once.',
  );
  await run('migrate');

  say('The first sync copies everything', 'Two years back, one year forward, every invitee.');
  const first = await run('sync');
  check('the first sync', first, { new: countMeetings(stage).active, deleted: 0 });

  const { happenings, expected } = letThingsHappen(calendly);
  steps.push({ happened: happenings });
  say(
    'Meanwhile at Calendly',
    ...happenings.map(({ what, text }) => `  ${what.padEnd(11)} ${oneLine(text)}`),
  );

  say(
    'The second sync finds just that',
    'One request per 100 meetings, and one for each that changed. Rescheduled means at',
    'Calendly: the old meeting is canceled, a new one is booked.',
  );
  check('the second sync', await run('sync'), expected);

  say(
    'And without asking: webhooks',
    'Calendly tells the receiver of a booking, signed with a key that only the two know.',
  );
  const told: BookedByWebhook[] = [];
  const served = await bookByWebhook(stage, run, (booked) => {
    told.push(booked);
    output.result(`  booked      ${oneLine(booked.text)}; stored ${booked.ms} ms later`);
  });
  steps.push({ happened: told }, served);

  say('Is it healthy?', 'One screen for people, --json for programs, exit code 0 or 4 for monitors.');
  await run('health');
  await checkRows(stage);

  say(
    'That was all',
    'Every count above was compared with what happened at the local Calendly.',
    `The folder ${folder} is deleted now.`,
    'With your own Calendly (a token: https://calendly.com/integrations/api_webhooks):',
    '  $ CALENDLY_TOKEN=… calendly-sync sync',
  );
  return { steps };
}

/** How many meetings the demo's user has, as its Calendly knows them. */
function countMeetings({ calendly }: Stage): { active: number; canceled: number } {
  const counts = { active: 0, canceled: 0 };
  for (const { event } of calendly.control.meetings()) {
    if (event.event_memberships.some(({ user }) => user === calendly.hosts[0]?.uri)) counts[event.status]++;
  }
  return counts;
}

/** Compares a sync's own words with what was done at Calendly. */
function check(what: string, { text, document }: Ran, expected: Expected): void {
  const said =
    (document?.totals as Partial<Record<string, number>> | undefined) ??
    /complete: (?<new>\d+) new, \d+ updated, (?<deleted>\d+) deleted/.exec(text)?.groups;
  // Under --quiet a sync says nothing; the rows are counted at the end.
  if (said === undefined && text === '') return;
  for (const key of ['new', 'deleted'] as const) {
    if (Number(said?.[key]) !== expected[key])
      throw wrong(`${what} says ${said?.[key]} ${key}, and ${expected[key]} it was at Calendly`);
  }
}

/** Compares the rows in the database with the meetings at Calendly. */
async function checkRows(stage: Stage): Promise<void> {
  const { users } = (await stage.measure(['health'])) as { users?: Record<string, unknown>[] };
  const stored = {
    active: users?.[0]?.active_calendly_meetings,
    canceled: users?.[0]?.deleted_calendly_meetings,
  };
  const wanted = countMeetings(stage);
  if (stored.active !== wanted.active || stored.canceled !== wanted.canceled)
    throw wrong(`stored are ${JSON.stringify(stored)}, and ${JSON.stringify(wanted)} it is at Calendly`);
}

function wrong(what: string): CalendlySyncError {
  return new CalendlySyncError('failed', `The demo failed: ${what}.`);
}
