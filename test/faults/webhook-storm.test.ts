/**
 * A storm: bookings, cancellations, moves and no-shows are delivered many times, shuffled and late, while syncs run, the
 * receiver is killed and the database crashes. It ends with the true rows. `STORM_BOOKINGS=5000` makes it 50,000 deliveries.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import postgres from 'postgres';
import { expect, onTestFinished, test } from 'vitest';
import type { Sandbox } from '../../src/sandbox/sandbox.js';
import { expectDelivered } from '../support/delivered.js';
import { freePort } from '../support/free-port.js';
import { startPostgres } from '../support/postgres-server.js';
import { calendlySync, start } from '../support/program.js';
import { randomOf, shuffled } from '../support/random.js';
import { ask, settingsOf, testSandbox } from '../support/sandbox.js';
import { expectTruth } from '../support/truth.js';
import { KEY, signedText } from '../support/webhooks.js';

const BOOKINGS = Number(process.env.STORM_BOOKINGS ?? 200);
const DELIVERIES = BOOKINGS * 10;
const PHASES = 5;
const CONNECTIONS = 16;

test(`${DELIVERIES} deliveries of ${BOOKINGS} bookings lead to the true rows through polls, kills and crashes`, {
  timeout: 3_600_000,
}, async () => {
  const random = randomOf(Number(process.env.STORM_SEED ?? 7));
  const server = await startPostgres(undefined, { fsync: 'off' });
  onTestFinished(() => server.stop());
  const sandbox = await testSandbox({ events: 0, rateLimit: 1_000_000 });
  const settings = { ...settingsOf(sandbox, server.url), CALENDLY_WEBHOOK_SIGNING_KEY: KEY };
  expect((await calendlySync(['migrate'], settings)).code).toBe(0);
  expect((await calendlySync(['sync'], settings)).code).toBe(0);
  const sent = await listening(sandbox);

  const port = await freePort();
  const receiver = supervised(port, settings);
  let polling = true;
  const polls = { complete: 0, failed: 0 };
  const poller = (async () => {
    while (polling) {
      const { code } = await calendlySync(['sync', '--quiet', '--no-repair'], settings);
      polls[code === 0 ? 'complete' : 'failed']++;
    }
  })();

  let late: string[] = [];
  let seen = 0;
  for (let phase = 1; phase <= PHASES; phase++) {
    await liveOn(sandbox, random, BOOKINGS / PHASES);
    const bodies = await sent();
    const fresh = bodies.slice(seen);
    seen = bodies.length;
    const copies = Math.ceil(DELIVERIES / PHASES / fresh.length);
    const all = shuffled([...late, ...Array.from({ length: copies }, () => fresh).flat()], random);
    // A third is delivered only in a later phase, when newer states of the same meetings are known.
    const cut = phase === PHASES ? all.length : Math.floor((all.length * 2) / 3);
    late = all.slice(cut);
    const posting = postAll(port, all.slice(0, cut));
    if (phase === 1 || phase === 3) await after(posting, 0.3, () => receiver.kill());
    if (phase === 2 || phase === 4) await after(posting, 0.4, () => server.crash());
    await posting.done;
  }
  polling = false;
  await poller;
  const { code } = await receiver.stop();
  expect(code).toBe(0);

  const sql = postgres(server.url, { max: 1, onnotice: () => {} });
  onTestFinished(() => sql.end());
  await expectDelivered(sql, sandbox.control.state());
  const [ledger] =
    await sql`select count(*)::int as n, count(processed_at)::int as done from calendly_webhook_events`;
  const { length } = await sent();
  expect(ledger).toEqual({ n: length, done: length });
  expect(polls.complete).toBeGreaterThan(0);
  expect((await calendlySync(['sync'], settings)).code).toBe(0);
  await expectTruth(sql, sandbox);
});

/** Books meetings, group events among them, and changes them. */
async function liveOn({ control }: Sandbox, random: () => number, bookings: number): Promise<void> {
  // Marked again within one second: whole seconds could not tell the order.
  control.set({ created_at_digits: 6 });
  for (let index = 0; index < bookings; index++) {
    const isGroup = random() < 0.3;
    const { uri } = control.book(isGroup ? { host: 0, limit: 10, invitees: 2 } : { host: 0 }).event;
    if (isGroup && random() < 0.7) control.join({ event: uri, touch: random() < 0.5 });
    if (isGroup && random() < 0.5) control.cancel({ event: uri, invitee: -1, touch: random() < 0.5 });
    const fate = random();
    if (fate < 0.3) control.cancel({ event: uri });
    else if (fate < 0.5) control.reschedule({ event: uri, start: `+${1 + Math.floor(random() * 20)}d` });
    else if (fate < 0.7) {
      control.noShow({ event: uri });
      if (random() < 0.5) control.noShow({ event: uri, marked: false });
      if (random() < 0.3) control.noShow({ event: uri });
    }
    // Gives polls and deliveries a turn.
    if (index % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Subscribes with an address that accepts everything; returns the bodies sent so far. */
async function listening(sandbox: Sandbox) {
  // A set: the sandbox resends what was answered late.
  const bodies = new Set<string>();
  const sink = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      bodies.add(Buffer.concat(chunks).toString());
      response.end();
    });
  });
  await new Promise<void>((resolve) => sink.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void sink.close());
  const made = await ask(sandbox, '/webhook_subscriptions', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      url: `http://127.0.0.1:${(sink.address() as AddressInfo).port}/`,
      events: ['invitee.created', 'invitee.canceled', 'invitee_no_show.created', 'invitee_no_show.deleted'],
      organization: sandbox.organization,
      scope: 'user',
      user: sandbox.hosts[0]?.uri,
    }),
  });
  expect(made.status).toBe(201);
  return async () => {
    await sandbox.deliveriesSettled();
    return [...bodies];
  };
}

/** The built receiver, restarted after each kill. */
function supervised(port: number, settings: Record<string, string>) {
  const begin = () => start(['webhook', 'serve', '--port', String(port), '--quiet'], settings);
  let running = begin();
  onTestFinished(() => void running.child.kill('SIGKILL'));
  return {
    async kill() {
      running.child.kill('SIGKILL');
      await running.ended;
      running = begin();
    },
    stop() {
      running.child.kill('SIGTERM');
      return running.ended;
    },
  };
}

/** Posts every body until it is answered 2xx, over several connections at once. */
function postAll(port: number, bodies: string[]) {
  let next = 0;
  const progress = () => next / bodies.length;
  const worker = async () => {
    while (next < bodies.length) await persist(port, bodies[next++] ?? '');
  };
  return { progress, done: Promise.all(Array.from({ length: CONNECTIONS }, worker)) };
}

async function after(
  posting: { progress(): number },
  share: number,
  act: () => Promise<void>,
): Promise<void> {
  while (posting.progress() < share) await new Promise((resolve) => setTimeout(resolve, 5));
  await act();
}

async function persist(port: number, body: string): Promise<void> {
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/api/calendly/webhook`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'calendly-webhook-signature': signedText(body) },
      body,
    }).catch(() => null);
    await answer?.arrayBuffer().catch(() => null);
    if (answer?.ok) return;
    expect(answer === null || answer.status === 503, `answered ${answer?.status}`).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}
