/** The demo's chapter on webhooks: a booking that is in the database before anybody has asked for it. */
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { newSigningKey } from '../../webhook/subscriptions/subscribe.js';
import type { Stage } from './environment.js';

export interface BookedByWebhook {
  what: 'booked';
  text: string;
  event: string;
  /** From the booking to the receiver's answer, which comes after its commit, in ms. */
  ms: number;
}

/** How long the receiver may take to begin. */
const PATIENCE_MS = 20_000;

/** Subscribes, receives, books, and stops the receiver. @param onBooked hears how long the booking took */
export async function bookByWebhook(
  stage: Stage,
  run: (...words: string[]) => Promise<unknown>,
  onBooked: (booked: BookedByWebhook) => void,
) {
  const { calendly } = stage;
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  stage.set('CALENDLY_WEBHOOK_SIGNING_KEY', newSigningKey());
  await run('webhook', 'subscribe', '--url', url);
  return stage.commandWhile(['webhook', 'serve', '--port', String(port)], async () => {
    await answering(url);
    const began = performance.now();
    const name = 'Ines Duarte';
    const invitee = { name, email: 'ines.duarte@example.com' };
    const { event } = calendly.control.book({ start: '+48h', invitees: [invitee] });
    await calendly.deliveriesSettled();
    const ms = Math.round(performance.now() - began);
    onBooked({ what: 'booked', text: `${name}: ${event.name ?? 'a meeting'}`, event: event.uri, ms });
  });
}

async function answering(url: string): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (performance.now() < end) {
    const up = await fetch(`${url}/healthz`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (up) return;
    await delay(30);
  }
  throw new Error('the receiver did not begin');
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
