/** Which requests are accepted, what the other paths answer, and that a response is 2xx only after the commit. */
import { describe, expect, test } from 'vitest';
import { type Database, openServer } from '../../../src/database/connection.js';
import { createWebhookHandler } from '../../../src/webhook/receiver/handler.js';
import { testDatabase } from '../../support/database.js';
import { booking, HOST, KEY, receiving, signedRequest, URL_OF_RECEIVER } from '../../support/webhooks.js';

const { url, sql } = await testDatabase();
await sql`insert into users (email) values ('host@example.com')`;
await sql`insert into calendly_accounts (user_id, calendly_uri) select id, ${HOST} from users`;

const count = async () => {
  const [row] = await sql`
    select (select count(*) from calendly_webhook_events)::int + (select count(*) from meetings)::int as n`;
  return row?.n as number;
};
const origin = new URL(URL_OF_RECEIVER).origin;

describe('rejected requests', () => {
  const body = JSON.stringify(booking('REFUSED'));
  const cases: [string, number, () => Request][] = [
    ['a method other than POST', 405, () => new Request(URL_OF_RECEIVER, { method: 'PUT', body })],
    [
      'a missing signature',
      401,
      () =>
        new Request(URL_OF_RECEIVER, {
          method: 'POST',
          body,
          headers: { 'content-type': 'application/json' },
        }),
    ],
    ['a wrong key', 401, () => signedRequest(body, { key: 'other' })],
    [
      'an expired signature',
      401,
      () => signedRequest(body, { time: Math.floor(Date.now() / 1_000) - 90_000 }),
    ],
    [
      'a content type other than JSON',
      415,
      () => signedRequest(body, { headers: { 'content-type': 'text/plain' } }),
    ],
    ['a body that is too large', 413, () => signedRequest(`"${'x'.repeat(262_145)}"`)],
    [
      'a content length that is too large',
      413,
      () => signedRequest(body, { headers: { 'content-length': '9999999' } }),
    ],
    [
      'a signature of the future',
      401,
      () => signedRequest(body, { time: Math.floor(Date.now() / 1_000) + 310 }),
    ],
    ['invalid JSON', 400, () => signedRequest('{"event":')],
    ['JSON that is not an object', 400, () => signedRequest('[1]')],
    ['an empty body', 400, () => signedRequest('', {})],
  ];
  for (const [why, status, request] of cases) {
    test(`a request with ${why} is answered ${status} and stores nothing`, async () => {
      const { handler } = receiving(url);
      const before = await count();
      const response = await handler(request());
      expect(response.status).toBe(status);
      if (status === 401) expect(await response.json()).toEqual({ error: 'unauthorized' });
      if (status === 405) expect(response.headers.get('allow')).toBe('POST');
      expect(await count()).toBe(before);
    });
  }

  test('rejected requests are counted in one row per reason and hour', async () => {
    const { handler } = receiving(url);
    for (let time = 0; time < 50; time++) await handler(signedRequest(body, { key: 'other' }));
    await handler(signedRequest('{', {}));
    await sql`truncate calendly_webhook_rejections`;
    await handler.close();
    const rows =
      await sql`select reason, count::int as count from calendly_webhook_rejections order by reason`;
    expect(rows).toEqual([
      { reason: 'invalid_json', count: 1 },
      { reason: 'wrong_signature', count: 50 },
    ]);
  });
});

test('a receiver without a signing key cannot be created', () => {
  const database = openServer(url);
  for (const signingKeys of [[], ['']]) {
    expect(() => createWebhookHandler({ database, signingKeys })).toThrow('CALENDLY_WEBHOOK_SIGNING_KEY');
  }
});

test('a receiver with a signing key of fewer than 16 characters cannot be created', () => {
  const database = openServer(url);
  for (const signingKeys of [['Zk3'], [KEY, 'fifteen letters']]) {
    expect(() => createWebhookHandler({ database, signingKeys })).toThrow('at least 16 characters');
  }
});

test('the public test page says only where deliveries go and whether the receiver is ready', async () => {
  const { handler } = receiving(url);
  const page = await (await handler(new Request(`${URL_OF_RECEIVER}/test`))).json();
  expect(Object.keys(Object(page))).toEqual(['webhook_url', 'method', 'events', 'ready']);
  expect(page).toMatchObject({ webhook_url: URL_OF_RECEIVER, ready: false });
});

test('the test page of the admin endpoint says what is missing, and shows no secret', async () => {
  const { handler } = receiving(url);
  const response = await handler.admin(new Request(`${origin}/test`));
  const text = await response.text();
  expect(JSON.parse(text)).toMatchObject({
    ready: false,
    configured: { signing_keys: 1, database: 'ready' },
  });
  expect(text).not.toContain(KEY);
  const known = receiving(url, { publicUrl: 'https://hooks.example.com' });
  const ready = await (await known.handler.admin(new Request(`${origin}/test`))).json();
  expect(ready).toMatchObject({
    webhook_url: 'https://hooks.example.com/api/calendly/webhook',
    ready: true,
    missing: [],
  });
});

test('healthz says whether the database can be reached', async () => {
  const { handler } = receiving(url);
  expect((await handler(new Request(`${origin}/healthz`))).status).toBe(200);
  const dead = receiving('', {
    database: openServer('postgres://nobody@127.0.0.1:9/none', { connect_timeout: 1 }),
  });
  expect((await dead.handler(new Request(`${origin}/healthz`))).status).toBe(503);
});

test('healthz asks the database at most once a second, and says nothing but yes or no', async () => {
  const real = openServer(url);
  let asked = 0;
  const counting: Database = {
    ...real,
    transaction(work, options) {
      asked++;
      return real.transaction(work, options);
    },
  };
  const { handler } = receiving('', { database: counting });
  for (let time = 0; time < 20; time++) {
    const response = await handler(new Request(`${origin}/healthz`));
    expect(await response.json()).toEqual({ ok: true });
  }
  expect(asked).toBe(1);
  expect(await (await handler.admin(new Request(`${origin}/healthz`))).json()).toMatchObject({
    database: 'ready',
  });
});

test('a receiver that is being drained is not healthy, and still accepts deliveries', async () => {
  const { handler, post } = receiving(url);
  handler.drain();
  expect((await handler(new Request(`${origin}/healthz`))).status).toBe(503);
  expect((await post(booking('DRAINING'))).status).toBe(200);
});

test('a probe that gets no answer is forgotten: healthz recovers with the database', async () => {
  const real = openServer(url);
  let frozen = true;
  const database: Database = {
    ...real,
    transaction: (work, options) => (frozen ? new Promise<never>(() => {}) : real.transaction(work, options)),
  };
  const { handler } = receiving('', { database });
  expect((await handler(new Request(`${origin}/healthz`))).status).toBe(503);
  frozen = false;
  await expect
    .poll(async () => (await handler(new Request(`${origin}/healthz`))).status, { timeout: 3_000 })
    .toBe(200);
});

test('an event id that is too long for an index is hashed, and its copy is a duplicate', async () => {
  const { post } = receiving(url);
  const long = booking('LONG', {}, { uri: `https://api.calendly.com/${'i'.repeat(9_000)}` });
  expect(await (await post(long)).json()).toMatchObject({ received: true });
  expect(await (await post(long)).json()).toMatchObject({ status: 'duplicate' });
});

test('a delivery that is nested too deep is kept, whatever characters it contains', async () => {
  const { post } = receiving(url);
  const body = `{"event":"invitee.created","payload":${'['.repeat(100_000)}"\\u0000"${']'.repeat(100_000)}}`;
  expect(await (await post(body)).json()).toMatchObject({ status: 'failed' });
});

test('a response carries the id of its request, that of a proxy if it gave one', async () => {
  const { handler, events } = receiving(url);
  const headers = { 'x-request-id': 'proxy-7' };
  const response = await handler(signedRequest(booking('NAMED'), { headers }));
  expect(response.headers.get('x-request-id')).toBe('proxy-7');
  expect(events).toMatchObject([{ requestId: 'proxy-7' }]);
  const invalid = await handler(signedRequest(booking('NAMED'), { headers: { 'x-request-id': 'a b' } }));
  expect(invalid.headers.get('x-request-id')).toMatch(/^[\da-f-]{36}$/);
});

test('the public endpoint serves no metrics', async () => {
  const { handler } = receiving(url);
  expect((await handler(new Request(`${origin}/metrics`))).status).toBe(404);
});

test('metrics count deliveries, rejections and failures', async () => {
  const { handler, post } = receiving(url);
  await post(booking('METRIC'));
  await post(booking('METRIC'), 'other');
  const text = await (await handler.admin(new Request(`${origin}/metrics`))).text();
  expect(text).toContain(
    'calendly_sync_webhook_deliveries_total{event_type="invitee.created",status="applied"} 1',
  );
  expect(text).toContain('calendly_sync_webhook_rejections_total{reason="wrong_signature"} 1');
  expect(text).toContain('calendly_sync_webhook_duration_seconds_bucket{le="+Inf"} 1');
  expect(text).toContain(
    'calendly_sync_webhook_lag_seconds_bucket{event_type="invitee.created",le="86400"} 0',
  );
  expect(text).toContain('calendly_sync_webhook_lag_seconds_count{event_type="invitee.created"} 1');
  expect(text.endsWith('\n')).toBe(true);
});

test('without a database a delivery is answered 503, and is stored when it is sent again', async () => {
  const dead = receiving('', {
    database: openServer('postgres://nobody@127.0.0.1:9/none', { connect_timeout: 1 }),
  });
  expect((await dead.post(booking('AGAIN'))).status).toBe(503);
  expect(dead.events).toMatchObject([{ type: 'not_stored' }]);
  const { post } = receiving(url);
  expect(await (await post(booking('AGAIN'))).json()).toMatchObject({ status: 'applied' });
});

test('a delivery is not answered before its commit, and a commit that takes too long is answered 503', async () => {
  const real = openServer(url);
  let release: () => void = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const slow: Database = {
    ...real,
    query: () => Promise.reject(new Error('stored by a transaction only')),
    transaction: (work, options) =>
      real.transaction(
        (tx) =>
          work(
            Object.assign(tx, {
              async commitWith<T>(last: Promise<T>) {
                const result = await last;
                await held;
                return result;
              },
            }),
          ),
        options,
      ),
  };
  const { post, handler, events } = receiving('', { database: slow, commitTimeoutMs: 300 });
  const response = await post(booking('FROZEN'));
  expect(response.status).toBe(503);
  expect(await sql`select from calendly_webhook_events where invitee_uri like '%GFROZEN'`).toHaveLength(0);
  release();
  await handler.close();
  expect(events).toMatchObject([{ type: 'not_stored' }, { type: 'received', late: true }]);
  const [notStored, received] = events;
  expect(received).toHaveProperty('requestId', notStored?.type === 'not_stored' ? notStored.requestId : '');
  const metrics = await (await handler.admin(new Request(`${origin}/metrics`))).text();
  expect(metrics).toContain('calendly_sync_webhook_late_total 1');
  expect(await sql`select from calendly_webhook_events where invitee_uri like '%GFROZEN'`).toHaveLength(1);
});
