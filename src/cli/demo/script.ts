/** The demo's script: what is shown in which order, and the checks. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { newSigningKey } from '../../webhook/subscriptions/subscribe.js';
import type { CommandContext, CommandResult, RunProgram } from '../command.js';
import type { Output } from '../terminal/output.js';
import { oneLine } from '../terminal/sanitize.js';
import { type Activity, bookFor, hostedMeetings, simulateActivity } from './activity.js';
import { type CommandStep, createEnvironment, type DemoEnvironment, demoFailed } from './environment.js';

const RECEIVER_START_TIMEOUT_MS = 20_000;

/** What the JSON document lists. `ms`: from the booking to the receiver's response, which follows its commit. */
type Step = CommandStep | { happened: (Activity & { ms?: number })[] };

interface Chapter {
  title: string;
  text: string[];
  play?: () => Promise<Step[]>;
}

/** The handler of `demo`. It throws if a command fails or the rows differ from the meetings at Calendly. */
export async function runDemo(context: CommandContext, program: RunProgram): Promise<CommandResult> {
  const { output } = context;
  const environment = await createEnvironment(context, program);
  try {
    const steps: Step[] = [];
    for (const { title, text, play } of chaptersOf(environment, output)) {
      output.result(`\n── ${title} ──`, 'strong');
      for (const line of text) output.result(line);
      if (play) steps.push(...(await play()));
    }
    return { document: { steps } };
  } finally {
    await environment.close();
  }
}

function chaptersOf(environment: DemoEnvironment, output: Output): Chapter[] {
  const { calendly, settings, folder, run } = environment;
  const checked = async (command: string): Promise<Step[]> => {
    const step = await run([command]);
    await checkRows(environment);
    return [step];
  };
  return [
    {
      title: 'A Calendly to try things with',
      text: [
        'Calendly has no test environment, so calendly-sync brings a local one. It is',
        `running now, with the meetings of ${calendly.hosts[0]?.name}. These settings point to it:`,
        ...Object.entries(settings).map(([name, value]) => `  ${name}=${value}`),
        'DATABASE_URL is not set, so the database is an embedded Postgres in that folder.',
        'Creating it takes a few seconds, once.',
      ],
      play: async () => [await run(['migrate'])],
    },
    {
      title: 'The first sync copies everything',
      text: ['Two years back, one year ahead, every invitee.'],
      play: () => checked('sync'),
    },
    {
      title: 'Meanwhile at Calendly',
      text: [],
      play: async () => {
        const happened = simulateActivity(calendly);
        for (const activity of happened) show(output, activity);
        return [{ happened }];
      },
    },
    {
      title: 'The second sync finds exactly that',
      text: [
        'One request per 100 meetings, plus one per new or changed meeting. Rescheduling',
        'at Calendly cancels the old meeting and books a new one.',
      ],
      play: () => checked('sync'),
    },
    {
      title: 'Without polling: webhooks',
      text: ['Calendly sends each booking to the receiver, signed with a shared key.'],
      play: () => receiveBooking(environment, output),
    },
    {
      title: 'Is it healthy?',
      text: ['One screen for people, --json for programs, exit code 0 or 4 for monitors.'],
      play: () => checked('health'),
    },
    {
      title: 'That was the demo',
      text: [
        'After each step the stored meetings were compared with those at Calendly.',
        `The folder ${folder} is being deleted.`,
        'With your own Calendly (token: https://calendly.com/integrations/api_webhooks):',
        '  $ CALENDLY_TOKEN=… calendly-sync sync',
      ],
    },
  ];
}

/** Subscribes, and books a meeting while the receiver runs. */
async function receiveBooking(environment: DemoEnvironment, output: Output): Promise<Step[]> {
  const { calendly, settings, run, runWhile } = environment;
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  settings.CALENDLY_WEBHOOK_SIGNING_KEY = newSigningKey();
  const steps: Step[] = [await run(['webhook', 'subscribe', '--url', url])];
  const served = await runWhile(['webhook', 'serve', '--port', String(port)], async () => {
    await receiverStarted(url);
    const start = performance.now();
    const booked = bookFor(calendly, 'Ines Duarte', 48);
    await calendly.deliveriesSettled();
    const ms = Math.round(performance.now() - start);
    show(output, { ...booked, text: `${booked.text}; stored after ${ms} ms` });
    steps.push({ happened: [{ ...booked, ms }] });
  });
  return [...steps, served];
}

function show(output: Output, { what, text }: Activity): void {
  output.result(`  ${what.padEnd(11)} ${oneLine(text)}`);
}

/** Compares the rows in the database with the meetings at Calendly. */
async function checkRows({ runSilently, calendly }: DemoEnvironment): Promise<void> {
  const [user] = (await runSilently(['health'])).users;
  const statuses = hostedMeetings(calendly).map(({ event }) => event.status);
  const countOf = (wanted: string) => statuses.filter((status) => status === wanted).length;
  const stored = `${user.active_calendly_meetings} active and ${user.deleted_calendly_meetings} canceled`;
  const expected = `${countOf('active')} active and ${countOf('canceled')} canceled`;
  if (stored !== expected) throw demoFailed(`${stored} meetings are stored, not ${expected}`);
}

async function receiverStarted(url: string): Promise<void> {
  const timeout = AbortSignal.timeout(RECEIVER_START_TIMEOUT_MS);
  while (!(await fetch(`${url}/healthz`).catch(() => null))?.ok) {
    if (timeout.aborted) throw demoFailed('the receiver did not start');
    await delay(30);
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  return port;
}
