/** Deliveries as Calendly makes them, and a receiver to post them to. */
import { onTestFinished } from 'vitest';
import { signatureHeader } from '../../src/calendly/signature.js';
import { type Database, openServer } from '../../src/database/connection.js';
import { createWebhookHandler, type WebhookHandlerOptions } from '../../src/webhook/receiver/handler.js';
import type { ReceiverEvent } from '../../src/webhook/receiver/log-lines.js';

export const KEY = 'test-signing-key';
export const URL_OF_RECEIVER = 'http://receiver.test/api/calendly/webhook';

// biome-ignore lint/suspicious/noExplicitAny: a test builds and changes whatever JSON it likes
export type Loose = Record<string, any>;

/** A receiver on a database; both end with the test. */
export function receiving(databaseUrl: string, options: Partial<WebhookHandlerOptions> = {}) {
  const database: Database = options.database ?? openServer(databaseUrl);
  const events: ReceiverEvent[] = [];
  const handler = createWebhookHandler({
    database,
    signingKeys: [KEY],
    onEvent: (event) => events.push(event),
    ...options,
  });
  onTestFinished(async () => {
    await handler.close();
    await database.close();
  });
  const post = (body: unknown, key = KEY) => handler(signedRequest(body, { key }));
  return { database, handler, events, post };
}

/** A POST of a body, signed. */
export function signedRequest(
  body: unknown,
  { key = KEY, time = Math.floor(Date.now() / 1_000), headers = {} as Record<string, string> } = {},
): Request {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return new Request(URL_OF_RECEIVER, {
    method: 'POST',
    body: text,
    headers: {
      'content-type': 'application/json',
      'calendly-webhook-signature': signatureHeader(key, Buffer.from(text), time),
      ...headers,
    },
  });
}

/** The signature of a body, made now. */
export function signedText(text: string): string {
  return signatureHeader(KEY, Buffer.from(text), Math.floor(Date.now() / 1_000));
}

const BASE = 'https://api.calendly.com';
export const HOST = `${BASE}/users/HOST0001`;

/** An event of `HOST` with one invitee; `over` replaces fields. */
export function event(id: string, over: Loose = {}): Loose {
  return {
    uri: `${BASE}/scheduled_events/${id}`,
    name: `Meeting ${id}`,
    status: 'active',
    start_time: '2026-03-01T10:00:00.000000Z',
    end_time: '2026-03-01T10:30:00.000000Z',
    event_type: `${BASE}/event_types/T1`,
    location: { type: 'physical', location: 'Here' },
    invitees_counter: { total: 1, active: 1, limit: 1 },
    created_at: '2026-02-01T08:00:00.000001Z',
    updated_at: '2026-02-01T08:00:00.000001Z',
    event_memberships: [{ user: HOST, user_email: 'host@example.com', user_name: 'Host' }],
    event_guests: [],
    ...over,
  };
}

/** An invitee of an event. */
export function invitee(eventUri: string, id: string, over: Loose = {}): Loose {
  return {
    uri: `${eventUri}/invitees/${id}`,
    email: `${id.toLowerCase()}@example.com`,
    name: `Guest ${id}`,
    first_name: null,
    last_name: null,
    status: 'active',
    timezone: 'Europe/Berlin',
    event: eventUri,
    created_at: '2026-02-01T08:00:00.000001Z',
    updated_at: '2026-02-01T08:00:00.000001Z',
    questions_and_answers: [],
    tracking: { utm_source: null },
    rescheduled: false,
    old_invitee: null,
    new_invitee: null,
    payment: null,
    no_show: null,
    ...over,
  };
}

/** A delivery's body. */
export function delivery(kind: string, guest: Loose, scheduled: Loose | null, over: Loose = {}): Loose {
  return {
    event: kind,
    created_at: '2026-02-01T08:00:01.000000Z',
    created_by: HOST,
    payload: { ...guest, ...(scheduled ? { scheduled_event: scheduled } : {}) },
    ...over,
  };
}

/** A booking's `invitee.created`. */
export function booking(id: string, eventOver: Loose = {}, guestOver: Loose = {}): Loose {
  const scheduled = event(id, eventOver);
  return delivery('invitee.created', invitee(scheduled.uri, `G${id}`, guestOver), scheduled);
}

/** Its `invitee.canceled`, some minutes later. */
export function cancellation(id: string, at = '2026-02-01T08:05:00.000002Z'): Loose {
  const canceled = {
    status: 'canceled',
    updated_at: at,
    cancellation: { canceled_by: 'Guest', reason: 'ill', canceler_type: 'invitee', created_at: at },
  };
  const scheduled = event(id, { ...canceled, invitees_counter: { total: 1, active: 0, limit: 1 } });
  return delivery('invitee.canceled', invitee(scheduled.uri, `G${id}`, canceled), scheduled);
}
