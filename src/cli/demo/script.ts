/** The demo's script: what is shown in which order, and the checks. */
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { CalendlySyncError } from '../../errors.js';
import { newSigningKey } from '../../webhook/subscriptions/subscribe.js';
import type { CommandContext, CommandResult, RunProgram } from '../command.js';
import type { Output } from '../terminal/output.js';
import { oneLine } from '../terminal/sanitize.js';
import { type Activity, bookFor, hostedMeetings, simulateActivity } from './activity.js';
import { type CommandStep, createEnvironment, type DemoEnvironment } from './environment.js';

const RECEIVER_START_TIMEOUT_MS = 20_000;

/** The JSON document. `ms`: from the booking to the receiver's response, which follows its commit. */
export interface DemoResult {
  steps: (CommandStep | { happened: (Activity & { ms?: number })[] })[];
}

/** The handler of `demo`. It throws if a command fails or the rows differ from the meetings at Calendly. */
export function runDemo(program: RunProgram) {
  return async (context: CommandContext): Promise<CommandResult> => {
    const environment = await createEnvironment(context, program);
    try {
      return { document: await runScript(context.output, environment) };
    } finally {
      await environment.close();
    }
  };
}

async function runScript(output: Output, environment: DemoEnvironment): Promise<DemoResult> {
  const { calendly, settings, folder } = environment;
  const steps: DemoResult['steps'] = [];
  const chapter = (title: string, ...lines: string[]) => {
    output.result(`\n── ${title} ──`, 'strong');
    for (const line of lines) output.result(line);
  };
  const show = ({ what, text }: Activity) => output.result(`  ${what.padEnd(11)} ${oneLine(text)}`);
  const run = async (...argv: string[]) => steps.push(await environment.run(argv));

  chapter(
    'A Calendly to try things with',
    'Calendly has no test environment, so calendly-sync brings a local one. It is',
    `running now, with the meetings of ${calendly.hosts[0]?.name}. These settings point to it:`,
    ...Object.entries(settings).map(([name, value]) => `  ${name}=${value}`),
    'DATABASE_URL is not set, so the database is an embedded Postgres in that folder.',
    'Creating it takes a few seconds, once.',
  );
  await run('migrate');

  chapter('The first sync copies everything', 'Two years back, one year ahead, every invitee.');
  await run('sync');
  await checkRows(environment);

  chapter('Meanwhile at Calendly');
  const happened = simulateActivity(calendly);
  for (const activity of happened) show(activity);
  steps.push({ happened });

  chapter(
    'The second sync finds exactly that',
    'One request per 100 meetings, plus one per new or changed meeting. Rescheduling',
    'at Calendly cancels the old meeting and books a new one.',
  );
  await run('sync');
  await checkRows(environment);

  chapter(
    'Without polling: webhooks',
    'Calendly sends each booking to the receiver, signed with a shared key.',
  );
  const url = `http://127.0.0.1:${await freePort()}`;
  settings.CALENDLY_WEBHOOK_SIGNING_KEY = newSigningKey();
  await run('webhook', 'subscribe', '--url', url);
  const serve = ['webhook', 'serve', '--port', new URL(url).port];
  const served = await environment.runWhile(serve, async () => {
    await receiverStarted(url);
    const start = performance.now();
    const booked = bookFor(calendly, 'Ines Duarte', 48);
    await calendly.deliveriesSettled();
    const ms = Math.round(performance.now() - start);
    show({ ...booked, text: `${booked.text}; stored after ${ms} ms` });
    steps.push({ happened: [{ ...booked, ms }] });
  });
  steps.push(served);

  chapter('Is it healthy?', 'One screen for people, --json for programs, exit code 0 or 4 for monitors.');
  await run('health');
  await checkRows(environment);

  chapter(
    'That was the demo',
    'After each step the stored meetings were compared with those at Calendly.',
    `The folder ${folder} is being deleted.`,
    'With your own Calendly (token: https://calendly.com/integrations/api_webhooks):',
    '  $ CALENDLY_TOKEN=… calendly-sync sync',
  );
  return { steps };
}

/** Compares the rows in the database with the meetings at Calendly. */
async function checkRows({ runSilently, calendly }: DemoEnvironment): Promise<void> {
  const [user] = (await runSilently(['health'])).users;
  const statuses = hostedMeetings(calendly).map(({ event }) => event.status);
  const stored = [user.active_calendly_meetings, user.deleted_calendly_meetings].join(' and ');
  const expected = ['active', 'canceled'].map((status) => statuses.filter((one) => one === status).length);
  if (stored === expected.join(' and ')) return;
  throw new CalendlySyncError(
    'failed',
    `The demo failed: ${stored} meetings are stored as active and canceled, not ${expected.join(' and ')}.`,
  );
}

async function receiverStarted(url: string): Promise<void> {
  const deadline = performance.now() + RECEIVER_START_TIMEOUT_MS;
  while (performance.now() < deadline) {
    const response = await fetch(`${url}/healthz`).catch(() => null);
    if (response?.ok) return;
    await delay(30);
  }
  throw new CalendlySyncError('failed', 'The demo failed: the receiver did not start.');
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}
