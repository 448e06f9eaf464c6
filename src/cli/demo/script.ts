/** The demo's script: what is shown in which order, and the checks. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { newSigningKey } from '../../webhook/subscriptions/subscribe.js';
import type { CommandContext, CommandResult, RunProgram } from '../command.js';
import { oneLine } from '../terminal/sanitize.js';
import { type Activity, bookFor, simulateActivity } from './activity.js';
import { type CommandStep, createEnvironment, type DemoEnvironment, demoFailed } from './environment.js';

const RECEIVER_START_TIMEOUT_MS = 20_000;

/** What the JSON document lists. */
type Step = CommandStep | { happened: Activity[] };

/** The handler of `demo`. It throws if a command fails; `verify` does if the rows differ from Calendly. */
export async function runDemo(context: CommandContext, program: RunProgram): Promise<CommandResult> {
  const environment = await createEnvironment(context, program);
  try {
    return { document: { steps: await runScript(context, environment) } };
  } finally {
    await environment.close();
  }
}

async function runScript({ output, signal }: CommandContext, environment: DemoEnvironment): Promise<Step[]> {
  const { calendly, settings, folder } = environment;
  const steps: Step[] = [];
  const chapter = (title: string, ...lines: string[]) => {
    output.result(`\n── ${title} ──`, 'strong');
    for (const line of lines) output.result(line);
  };
  const run = async (...argv: string[]) => steps.push(await environment.run(argv));
  const happened = (activities: Activity[]) => {
    for (const { what, text, ms } of activities) {
      const stored = ms === undefined ? '' : `; stored after ${ms} ms`;
      output.result(`  ${what.padEnd(11)} ${oneLine(text)}${stored}`);
    }
    steps.push({ happened: activities });
  };

  chapter(
    'A Calendly to try things with',
    'Calendly has no test environment, so calendly-sync brings a local one. It is',
    `running now, with the meetings of ${calendly.hosts[0]?.name}. These settings point to it:`,
    ...Object.entries(settings).map(([name, value]) => `  ${name}=${value}`),
    'The database is an embedded Postgres in that folder. Creating it takes a few',
    'seconds, once.',
  );
  await run('migrate');

  chapter('The first sync copies everything', 'Two years back, one year ahead, every invitee.');
  await run('sync');

  chapter('Meanwhile at Calendly');
  happened(simulateActivity(calendly));

  chapter(
    'The second sync finds exactly that',
    'One request per 100 meetings, plus one per new or changed meeting. Rescheduling',
    'at Calendly cancels the old meeting and books a new one.',
  );
  await run('sync');
  await run('verify');

  chapter(
    'Without polling: webhooks',
    'Calendly sends each booking to the receiver, signed with a shared key.',
  );
  const port = String(await freePort());
  const url = `http://127.0.0.1:${port}`;
  settings.CALENDLY_WEBHOOK_SIGNING_KEY = newSigningKey();
  await run('webhook', 'subscribe', '--url', url, '--no-ping');
  const stop = new AbortController();
  const serving = environment.run(
    ['webhook', 'serve', '--port', port],
    AbortSignal.any([signal, stop.signal]),
  );
  const booking = async () => {
    await receiverStarted(url);
    const start = performance.now();
    const booked = bookFor(calendly, 'Ines Duarte', 48);
    await calendly.deliveriesSettled();
    happened([{ ...booked, ms: Math.round(performance.now() - start) }]);
  };
  // If the receiver fails at once, there is nothing to wait for.
  await Promise.race([booking(), serving]).finally(() => stop.abort());
  steps.push(await serving);

  chapter(
    'Is it complete, and healthy?',
    'A sync also finds what a webhook has not delivered, and verify compares every row.',
    'health is one screen for people, --json for programs, exit code 0 or 4 for monitors.',
  );
  await run('sync');
  await run('verify');
  await run('health');

  chapter(
    'That was the demo',
    `The folder ${folder} is being deleted.`,
    'With your own Calendly (token: https://calendly.com/integrations/api_webhooks):',
    '  $ CALENDLY_TOKEN=… calendly-sync sync',
  );
  return steps;
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
