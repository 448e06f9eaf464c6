/** How often a delivery waits for the database: what matters if that is far away. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { openServer, type ServerOptions } from '../../../src/database/connection.js';
import { testDatabase } from '../../support/database.js';
import { startPooler } from '../../support/pooler.js';
import { startSlowProxy } from '../../support/slow-proxy.js';
import {
  booking,
  cancellation,
  event,
  HOST,
  invitee,
  type Loose,
  receiving,
} from '../../support/webhooks.js';

/**
 * A receiver whose database is 40 ms away, and the round trips of a delivery, once its statements are known. It has one
 * connection: after its first delivery it makes the account due, for which no delivery waits.
 */
async function far(options: ServerOptions, { pooled = false } = {}) {
  const { url, sql } = await testDatabase();
  await sql`insert into users (email) values ('host@example.com')`;
  await sql`insert into calendly_accounts (user_id, calendly_uri) select id, ${HOST} from users`;
  const pooler = pooled ? await startPooler(url, 2) : null;
  const proxy = await startSlowProxy(pooler?.url ?? url, 40);
  const { post } = receiving('', { database: openServer(proxy.url, { ...options, max: 1 }) });
  onTestFinished(async () => {
    await proxy.stop();
    await pooler?.stop();
  });
  const roundTrips = async (body: Loose, status = 'applied') => {
    const before = proxy.roundTrips();
    expect(await (await post(body)).json()).toMatchObject({ status });
    return proxy.roundTrips() - before;
  };
  for (const body of [booking('FIRST'), cancellation('FIRST'), join('FIRST', 2)]) await roundTrips(body);
  return roundTrips;
}

/** A further invitee of a meeting. */
function join(id: string, total: number): Loose {
  const scheduled = event(id, { invitees_counter: { total, active: total, limit: 9 } });
  const body = booking(id, scheduled);
  return { ...body, payload: { ...invitee(scheduled.uri, `JOINED${total}`), scheduled_event: scheduled } };
}

describe.each([
  ['as `webhook serve` opens it', { prepare: true }, {}],
  ['as a library opens it', {}, {}],
  ['behind a pooler', {}, { pooled: true }],
  ['behind a pooler, with statements to prepare', { prepare: true }, { pooled: true }],
] as const)('with a database %s', (name, options, route) => {
  test(`a booking takes one round trip, a change three and a copy at most two, with a database ${name}`, async () => {
    const roundTrips = await far(options, route);
    expect(await roundTrips(booking('NEW'))).toBe(1);
    expect(await roundTrips(booking('NEW'), 'duplicate')).toBe(1);
    expect(await roundTrips(join('NEW', 2))).toBe(3);
    expect(await roundTrips(cancellation('NEW'))).toBe(3);
    expect(await roundTrips(cancellation('NEW'), 'duplicate')).toBe(2);
  });
});
