/** Deliveries in any order, any number of times, lead to the rows that the sandbox says are true. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareEvents, mergeEvent, mergeInvitee } from '../../../src/resources/meetings/merge.js';
import type { Sandbox } from '../../../src/sandbox/sandbox.js';
import { testDatabase } from '../../support/database.js';
import { expectDelivered } from '../../support/delivered.js';
import { fuzz, randomOf, seeds, shuffled } from '../../support/random.js';
import { ask, testSandbox } from '../../support/sandbox.js';
import { syncing } from '../../support/sync.js';
import { expectTruth } from '../../support/truth.js';
import {
  booking,
  cancellation,
  delivery,
  event,
  invitee,
  type Loose,
  receiving,
} from '../../support/webhooks.js';

describe('two states of an event', () => {
  const state = fc.record({
    updated_at: fc.constantFrom('2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'),
    status: fc.constantFrom('active', 'canceled'),
    invitees_counter: fc.record({
      total: fc.integer({ min: 1, max: 3 }),
      active: fc.integer({ min: 0, max: 3 }),
    }),
  });

  test('two states of an event merge to the same result in either order', () => {
    fc.assert(
      fc.property(state, state, (a, b) => {
        expect(Math.sign(compareEvents(a, b))).toBe(-Math.sign(compareEvents(b, a)) || 0);
        expect(mergeEvent(mergeEvent(null, a), b)).toEqual(mergeEvent(mergeEvent(null, b), a));
      }),
      fuzz(),
    );
  });

  test('merging two states loses nothing that only one of them has', () => {
    const full = {
      updated_at: '2026-01-01T00:00:00Z',
      status: 'active',
      name: 'A',
      calendar_event: { kind: 'google' },
    };
    const later = { updated_at: '2026-01-02T00:00:00Z', status: 'active', name: 'B' };
    const both = { ...later, calendar_event: { kind: 'google' } };
    expect(mergeEvent(full, later)).toEqual(both);
    expect(mergeEvent(later, full)).toEqual(both);
  });

  test('a canceled event stays canceled, whatever a delivery says and whenever it arrives', () => {
    const cancellation = { reason: 'x' };
    const canceled = { updated_at: '2026-01-01T00:00:00Z', status: 'canceled', cancellation };
    const later = { updated_at: '2026-01-02T00:00:00Z', status: 'active' };
    expect(mergeEvent(canceled, later)).toEqual(canceled);
    expect(mergeEvent(later, canceled)).toEqual(canceled);
  });
});

describe('an invitee', () => {
  const at = (day: number) => `2026-01-0${day}T00:00:00.000000Z`;
  const mark = (day: number) => ({
    uri: `https://api.calendly.com/invitee_no_shows/${day}`,
    created_at: at(day),
  });
  const base = { uri: 'u', status: 'active', updated_at: at(1) };
  const changes: { raw: Loose; removedAt: string | null }[] = [
    { raw: { ...base, no_show: null }, removedAt: null },
    { raw: { ...base, no_show: mark(2) }, removedAt: null },
    { raw: { ...base, no_show: null }, removedAt: at(3) },
    { raw: { ...base, no_show: mark(4) }, removedAt: null },
  ];

  test('an invitee has the newest no-show mark that was not removed, in any order and with copies', () => {
    const last = fc.integer({ min: 0, max: changes.length - 1 });
    fc.assert(
      fc.property(
        last,
        fc.infiniteStream(fc.nat()),
        fc.integer({ min: 1, max: 3 }),
        (newest, random, copies) => {
          const sent = changes.slice(0, newest + 1);
          const shuffled = Array.from({ length: copies }, () => sent)
            .flat()
            .map((one) => ({ one, key: random.next().value as number }))
            .sort((a, b) => a.key - b.key);
          let state: ReturnType<typeof mergeInvitee> = { raw: null, noShowRemovedAt: null };
          for (const { one } of shuffled) state = mergeInvitee(state, one.raw, one.removedAt);
          expect(state.raw?.no_show).toEqual(sent.at(-1)?.raw.no_show);
        },
      ),
      fuzz(),
    );
  });

  test('a canceled invitee never becomes active again', () => {
    const canceled = { ...base, status: 'canceled', updated_at: at(2) };
    for (const updated_at of [at(1), at(2), at(3)]) {
      const late = { ...base, updated_at };
      expect(mergeInvitee({ raw: canceled, noShowRemovedAt: null }, late, null).raw?.status).toBe('canceled');
      expect(mergeInvitee({ raw: late, noShowRemovedAt: null }, canceled, null).raw?.status).toBe('canceled');
    }
  });
});

/** Books, cancels, moves, joins, leaves, marks and, with `again`, marks again; returns the bodies of the webhooks. */
async function busyDay(sandbox: Sandbox, { again = true } = {}): Promise<Loose[]> {
  const collected = await collecting(sandbox);
  const { control } = sandbox;
  // Marked again within one second: whole seconds could not tell the order.
  if (again) control.set({ created_at_digits: 6 });
  const group = { host: 0, limit: 10, invitees: 2 } as const;
  for (let index = 0; index < 12; index++) {
    const one = control.book(index % 3 === 0 ? group : { host: 0 });
    const { uri } = one.event;
    if (index % 3 === 0) {
      control.join({ event: uri, touch: index % 2 === 0 });
      control.cancel({ event: uri, invitee: -1, touch: index % 2 === 1 });
    }
    if (index % 4 === 1) control.cancel({ event: uri });
    if (index % 4 === 2) control.reschedule({ event: uri, start: '+3d' });
    if (index % 4 === 3) control.noShow({ event: uri });
    if (index === 7 || index === 11) control.noShow({ event: uri, marked: false });
    if (index === 11 && again) control.noShow({ event: uri });
  }
  return collected();
}

/** Subscribes with an address without a listener: the bodies come from the sandbox's own list. */
async function collecting(sandbox: Sandbox) {
  const made = await ask(sandbox, '/webhook_subscriptions', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      url: 'http://127.0.0.1:9/',
      events: ['invitee.created', 'invitee.canceled', 'invitee_no_show.created', 'invitee_no_show.deleted'],
      organization: sandbox.organization,
      scope: 'user',
      user: sandbox.hosts[0]?.uri,
    }),
  });
  if (made.status !== 201) throw new Error(JSON.stringify(made.body));
  return () => sandbox.control.deliveries().map(({ body }) => JSON.parse(body) as Loose);
}

describe('a busy day', () => {
  for (const seed of seeds(3)) {
    test(`the deliveries of a busy day, shuffled and doubled, lead to the truth without a poll (seed ${seed})`, async () => {
      const { url, sql } = await testDatabase();
      const sandbox = await testSandbox({ events: 0 });
      await syncing(sandbox, url)();
      const bodies = await busyDay(sandbox);
      const { post } = receiving(url);
      for (const body of shuffled([...bodies, ...bodies], randomOf(seed)))
        expect((await post(body)).status).toBe(200);
      await expectDelivered(sql, sandbox.control.state());
      const [brought] = await sql`select bool_and(synced_via_webhook) as all from meetings`;
      expect(brought?.all).toBe(true);
      const [ledger] =
        await sql`select count(*)::int as n, count(processed_at)::int as done from calendly_webhook_events`;
      expect(ledger).toEqual({ n: bodies.length, done: bodies.length });
    });

    test(`the deliveries of a busy day, interleaved with polls, lead to the truth (seed ${seed})`, async () => {
      const { url, sql } = await testDatabase();
      const sandbox = await testSandbox({ events: 0 });
      const sync = syncing(sandbox, url);
      await sync();
      const bodies = shuffled(await busyDay(sandbox), randomOf(seed));
      const { post } = receiving(url);
      const polls: Promise<unknown>[] = [];
      for (const [index, body] of bodies.entries()) {
        if (index === Math.floor(bodies.length / 3)) polls.push(sync());
        expect((await post(body)).status).toBe(200);
      }
      await Promise.all(polls);
      await expectDelivered(sql, sandbox.control.state());
      await sync();
      await expectTruth(sql, sandbox);
    });
  }
});

const toTheSecond = <T>(value: T): T => JSON.parse(JSON.stringify(value).replaceAll(/\.\d{6}Z/g, 'Z')) as T;

describe('times without fractions of a second, so that states of one meeting share a time', () => {
  for (const seed of seeds(3)) {
    test(`deliveries whose times are whole seconds lead to the truth in any order (seed ${seed})`, async () => {
      const { url, sql } = await testDatabase();
      const sandbox = await testSandbox({ events: 0 });
      await syncing(sandbox, url)();
      // Marked, unmarked and marked again within one second has no readable order.
      const bodies = toTheSecond(await busyDay(sandbox, { again: false }));
      const { post } = receiving(url);
      for (const body of shuffled([...bodies, ...bodies], randomOf(seed)))
        expect((await post(body)).status).toBe(200);
      await expectDelivered(sql, toTheSecond(sandbox.control.state()));
    });
  }
});

describe('what a delivery must not do', () => {
  test('a delivery erases nothing that only a poll knows, and does not restore a meeting that is gone', async () => {
    const { url, sql } = await testDatabase();
    const sandbox = await testSandbox({ events: 0 });
    const sync = syncing(sandbox, url);
    const { event: real, invitees } = sandbox.control.book({ host: 0, created: '-1h' });
    await sync();
    await expectTruth(sql, sandbox);
    const { post } = receiving(url);
    const { calendar_event: _calendar, ...abridged } = real;
    const late = delivery('invitee.created', invitees[0] as Loose, abridged);
    expect((await post(late)).status).toBe(200);
    await expectTruth(sql, sandbox);
    const [row] = await sql`select synced_via_webhook from meetings`;
    expect(row?.synced_via_webhook).toBe(false);
    sandbox.control.delete({ event: real.uri });
    await sync();
    await post({ ...late, payload: { ...late.payload, updated_at: '2099-01-01T00:00:00Z' } });
    const [after] = await sql`select is_deleted, deleted_reason from meetings`;
    expect(after).toEqual({ is_deleted: true, deleted_reason: 'gone' });
  });
});

describe('one meeting in one batch', () => {
  test('two invitees, a cancellation and a booking of one meeting are all applied from one batch', async () => {
    const { url, sql } = await testDatabase();
    const [user] = await sql`insert into users (email) values ('h@example.com') returning id`;
    await sql`insert into calendly_accounts (user_id, calendly_uri) values (${user?.id}, 'https://api.calendly.com/users/HOST0001')`;
    const { post } = receiving(url);
    const both = event('GROUP', { invitees_counter: { total: 2, active: 2, limit: 5 } });
    const second = delivery('invitee.created', invitee(both.uri, 'SECOND'), both);
    const bodies = [
      booking('GROUP'),
      second,
      cancellation('GROUP'),
      booking('GROUP'),
      second,
      booking('OTHER'),
    ];
    const answers = await Promise.all(bodies.map((body) => post(body)));
    expect(answers.map(({ status }) => status)).toEqual(bodies.map(() => 200));
    const guests = await sql`select calendly_uri, status from meeting_invitees order by calendly_uri`;
    expect(guests.map(({ status }) => status)).toEqual(['canceled', 'active', 'active']);
    const [ledger] = await sql`select count(*)::int as n from calendly_webhook_events`;
    expect(ledger?.n).toBe(4);
  });
});
