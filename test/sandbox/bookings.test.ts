import { describe, expect, test } from 'vitest';
import type { Sandbox } from '../../src/sandbox/sandbox.js';
import { ask, eventsPath, readAll, testSandbox } from '../support/sandbox.js';

const NOW = new Date('2026-03-10T12:00:00Z');

async function read(sandbox: Sandbox, uri: string) {
  const path = new URL(uri).pathname;
  const { status, body } = await ask(sandbox, path);
  if (status !== 200) return { status, event: null, invitees: [] };
  return { status, event: body.resource, invitees: (await readAll(sandbox, `${path}/invitees`)).rows };
}

describe('booking', () => {
  test('a booked meeting is shown in the listing, by itself and with its invitee, as the command says', async () => {
    const sandbox = await testSandbox({ events: 0, now: NOW });
    const booked = sandbox.control.book({
      start: '2026-04-01T09:00:00.250000Z',
      minutes: 45,
      name: 'Kick-off \u0000 \u001b[1m',
      location: { type: 'zoom_conference', status: 'initiated', join_url: null },
      invitees: [{ email: 'ada@example.com', name: 'Ada L', payment: { amount: '12.50' } }],
      guests: ['guest@example.com'],
      with: [1],
    });
    expect(booked.event).toMatchObject({
      name: 'Kick-off \u0000 \u001b[1m',
      status: 'active',
      start_time: '2026-04-01T09:00:00.250000Z',
      end_time: '2026-04-01T09:45:00.250000Z',
      location: { type: 'zoom_conference', status: 'initiated', join_url: null },
      invitees_counter: { total: 1, active: 1, limit: 1 },
      event_guests: [{ email: 'guest@example.com' }],
    });
    expect(booked.event).not.toHaveProperty('cancellation');
    expect(booked.event.event_memberships.map(({ user }) => user)).toEqual(
      sandbox.hosts.slice(0, 2).map(({ uri }) => uri),
    );
    expect(await read(sandbox, booked.event.uri)).toEqual({ status: 200, ...booked });
    for (const host of [0, 1]) {
      expect((await readAll(sandbox, eventsPath(sandbox, {}, host), host)).rows).toEqual([booked.event]);
    }
    expect(booked.invitees[0]).toMatchObject({
      name: 'Ada L',
      first_name: null,
      payment: { amount: '12.50' },
    });
    const single = await ask(sandbox, new URL(booked.invitees[0]?.uri ?? '').pathname);
    expect(single.body.resource).toEqual(booked.invitees[0]);
  });

  test('a meeting can be booked without invitees, without a location and in the past', async () => {
    const sandbox = await testSandbox({ events: 0, now: NOW });
    const { event, invitees } = sandbox.control.book({
      invitees: 0,
      location: null,
      name: null,
      start: '-30d',
    });
    expect(event).toMatchObject({ name: null, location: null, invitees_counter: { total: 0, active: 0 } });
    expect(event.start_time.slice(0, 10)).toBe('2026-02-08');
    expect(invitees).toEqual([]);
  });

  test('an invalid command is refused with the reason', async () => {
    const { control } = await testSandbox({ events: 0 });
    expect(() => control.book({ host: 9 })).toThrow(/no host 9/);
    expect(() => control.book({ start: 'tomorrow' })).toThrow(/not a valid time/);
    expect(() => control.book({ minutes: -5 })).toThrow(/minutes/);
    expect(() => control.cancel({ event: 'nope' })).toThrow(/no event nope/);
    expect(() => control.cancel({ event: control.book().event.uri, invitee: 'nobody' })).toThrow(
      /no invitee/,
    );
  });
});

describe('canceling', () => {
  test('canceling cancels the event and its invitees, records who and why, and moves both timestamps', async () => {
    const sandbox = await testSandbox({ events: 0, now: NOW });
    const before = sandbox.control.book({ invitees: [{ name: 'Ada' }] });
    sandbox.control.cancel({ event: before.event.uri, by: 'host', reason: 'Ill' });
    const { event, invitees } = await read(sandbox, before.event.uri);
    const cancellation = { canceled_by: sandbox.hosts[0]?.name, reason: 'Ill', canceler_type: 'host' };
    expect(event).toMatchObject({
      status: 'canceled',
      cancellation,
      invitees_counter: { total: 1, active: 0 },
    });
    expect(invitees).toMatchObject([{ status: 'canceled', cancellation, rescheduled: false }]);
    expect(event.updated_at > before.event.updated_at).toBe(true);
    expect(invitees[0].updated_at > (before.invitees[0]?.updated_at ?? '')).toBe(true);
    expect(() => sandbox.control.cancel({ event: before.event.uri })).toThrow(/canceled already/);
  });
});

describe('rescheduling', () => {
  test('rescheduling creates a new event and invitee, links them both ways, and can be repeated', async () => {
    const sandbox = await testSandbox({ events: 0, now: NOW });
    const first = sandbox.control.book({ start: '+1d', minutes: 20 });
    const second = sandbox.control.reschedule({ event: first.event.uri, start: '+3d' });
    const third = sandbox.control.reschedule({ event: second.new.event.uri, start: '+2d', reason: 'Sooner' });
    const chain = await Promise.all(
      [first.event.uri, second.new.event.uri, third.new.event.uri].map((uri) => read(sandbox, uri)),
    );
    const [a, b, c] = chain.map(({ invitees }) => invitees[0]);
    expect(chain.map(({ event }) => event.status)).toEqual(['canceled', 'canceled', 'active']);
    expect(a).toMatchObject({ rescheduled: true, old_invitee: null, new_invitee: b.uri, status: 'canceled' });
    expect(b).toMatchObject({
      rescheduled: true,
      old_invitee: a.uri,
      new_invitee: c.uri,
      status: 'canceled',
    });
    expect(c).toMatchObject({ rescheduled: false, old_invitee: b.uri, new_invitee: null, status: 'active' });
    expect(c).not.toHaveProperty('cancellation');
    expect(new Set([a.email, b.email, c.email]).size).toBe(1);
    expect(chain[2]?.event).not.toHaveProperty('cancellation');
    expect(chain[2]?.event.start_time.slice(0, 10)).toBe('2026-03-12');
    expect(chain[2]?.event.end_time.slice(11, 16)).toBe('12:20');
  });

  test('one invitee of a group can be rescheduled alone', async () => {
    const sandbox = await testSandbox({ events: 0, now: NOW });
    const { event, invitees } = sandbox.control.book({ invitees: 3, limit: 5 });
    const moved = sandbox.control.reschedule({ event: event.uri, invitee: invitees[1]?.email ?? '' });
    expect(moved.old.event).toMatchObject({
      status: 'active',
      invitees_counter: { total: 3, active: 2, limit: 5 },
    });
    expect(moved.new.event.invitees_counter).toMatchObject({ total: 1, active: 1 });
    expect(moved.new.invitees[0]?.old_invitee).toBe(invitees[1]?.uri);
  });
});

describe('group events', () => {
  test('a group event counts who joins and leaves, and is canceled with its last invitee', async () => {
    const sandbox = await testSandbox({ events: 0, now: NOW });
    const { control } = sandbox;
    const { event } = control.book({ invitees: 2, limit: 9 });
    const joined = control.join({ event: event.uri, invitee: { name: 'Zed' } });
    expect(joined.event.invitees_counter).toEqual({ total: 3, active: 3, limit: 9 });
    expect(joined.event.updated_at).toBe(event.updated_at);
    expect(control.join({ event: event.uri, touch: true }).event.updated_at > event.updated_at).toBe(true);
    const left = control.cancel({ event: event.uri, invitee: joined.invitees[2]?.uri ?? '' });
    expect(left.event).toMatchObject({ status: 'active', invitees_counter: { total: 4, active: 3 } });
    for (const invitee of [-1, 1]) control.cancel({ event: event.uri, invitee });
    const last = control.cancel({ event: event.uri, invitee: 0 });
    expect(last.event).toMatchObject({ status: 'canceled', invitees_counter: { total: 4, active: 0 } });
    expect(await read(sandbox, event.uri)).toEqual({ status: 200, ...last });
  });

  test('invitees are listed page by page, with filters and in both orders', async () => {
    const sandbox = await testSandbox({ events: 0, now: NOW });
    const { event, invitees } = sandbox.control.book({ invitees: 230 });
    sandbox.control.cancel({ event: event.uri, invitee: invitees[4]?.uri ?? '' });
    const path = `${new URL(event.uri).pathname}/invitees?count=100`;
    const all = await readAll(sandbox, path);
    expect([all.rows.length, all.pages]).toEqual([230, 3]);
    expect(all.rows.map(({ uri }) => uri)).toEqual(invitees.map(({ uri }) => uri));
    const descending = await readAll(sandbox, `${path}&sort=created_at:desc`);
    expect(descending.rows).toEqual([...all.rows].reverse());
    expect((await readAll(sandbox, `${path}&status=canceled`)).rows).toHaveLength(1);
    expect((await ask(sandbox, `${path}&sort=name:asc`)).status).toBe(400);
    expect((await ask(sandbox, path.replace('100', '1000'))).status).toBe(400);
    expect((await ask(sandbox, `${new URL(event.uri).pathname}/invitees/none`)).status).toBe(404);
  });
});

describe('no-shows', () => {
  test('a no-show mark moves no timestamp and changes nothing in the listing', async () => {
    const sandbox = await testSandbox({ events: 0, now: NOW });
    const before = sandbox.control.book({ start: '-2d' });
    const marked = sandbox.control.noShow({ event: before.event.uri });
    expect(marked.event).toEqual(before.event);
    expect(marked.invitees[0]?.no_show).toMatchObject({ created_at: expect.any(String) });
    expect(marked.invitees[0]?.updated_at).toBe(before.invitees[0]?.updated_at);
    const unmarked = sandbox.control.noShow({ event: before.event.uri, marked: false });
    expect(unmarked).toEqual(before);
  });
});

describe('edits', () => {
  test('an edit changes any field, moves the timestamp unless asked not to, and the listing follows the new start', async () => {
    const sandbox = await testSandbox({ events: 3, hosts: 1, now: NOW });
    const { control } = sandbox;
    const uris = control.state().map(({ event }) => event.uri);
    const [first = '', , last = ''] = uris;
    const edited = control.edit({ event: first, set: { start_time: '2030-01-01T00:00:00Z', name: 'Later' } });
    expect(edited.event.updated_at).not.toBe(edited.event.created_at);
    const { rows } = await readAll(sandbox, eventsPath(sandbox, { count: '1' }));
    expect(rows.map(({ uri }) => uri)).toEqual([uris[1], last, first]);
    expect(rows[2]).toMatchObject({ name: 'Later', start_time: '2030-01-01T00:00:00Z' });
    const before = control.state().find(({ event }) => event.uri === last);
    const untouched = control.edit({
      event: last,
      set: { surprise: [1] },
      unset: ['calendar_event'],
      touch: false,
    });
    const { calendar_event: _gone, ...rest } = before?.event ?? { calendar_event: null };
    expect(untouched.event).toEqual({ ...rest, surprise: [1] });
    const invitee = untouched.invitees[0]?.uri ?? '';
    expect(control.edit({ event: last, invitee, set: { timezone: null } }).invitees[0]?.timezone).toBeNull();
  });

  test('an edit of one meeting leaves all others unchanged', async () => {
    const { control } = await testSandbox({ events: 50, hosts: 2, now: NOW });
    const before = control.state();
    const uri = before[20]?.event.uri ?? '';
    control.edit({ event: uri, set: { name: 'Changed' } });
    const after = control.state();
    expect(after.map(({ event }) => event.uri)).toEqual(before.map(({ event }) => event.uri));
    expect(
      after.filter((meeting, index) => JSON.stringify(meeting) !== JSON.stringify(before[index])),
    ).toHaveLength(1);
  });
});

describe('deleting', () => {
  test('a deleted meeting answers 404, a hidden one 403, neither is listed, and both can be restored', async () => {
    const sandbox = await testSandbox({ events: 30, hosts: 1 });
    const { control } = sandbox;
    const before = control.state();
    const uri = before[10]?.event.uri ?? '';
    for (const [operation, status] of [
      ['delete', 404],
      ['loseAccess', 403],
    ] as const) {
      control[operation]({ event: uri });
      expect((await ask(sandbox, new URL(uri).pathname)).status).toBe(status);
      expect((await ask(sandbox, `${new URL(uri).pathname}/invitees`)).status).toBe(status);
      expect((await readAll(sandbox, eventsPath(sandbox))).rows).toHaveLength(29);
      expect(control.state()).toHaveLength(29);
      control.restore({ event: uri });
      expect(control.state()).toEqual(before);
    }
  });
});

test('an integration cancels a meeting once in the name of its host, and marks an invitee as no-show', async () => {
  const sandbox = await testSandbox({ events: 0, now: NOW });
  const { event, invitees } = sandbox.control.book({ start: '-2d' });
  const invitee = invitees[0]?.uri ?? '';
  const post = (path: string, body: object, host = 0) =>
    ask(sandbox, path, { method: 'POST', host, body: JSON.stringify(body) });
  const marked = await post('/invitee_no_shows', { invitee });
  expect([marked.status, marked.body.resource.invitee]).toEqual([201, invitee]);
  const path = `${new URL(event.uri).pathname}/cancellation`;
  expect((await post(path, {}, 1)).status).toBe(403);
  const { status, body } = await post(path, { reason: 'Ill' });
  expect([status, body.resource.canceled_by, body.resource.reason]).toEqual([
    201,
    sandbox.hosts[0]?.name,
    'Ill',
  ]);
  const now = await read(sandbox, event.uri);
  expect(now.event).toMatchObject({ status: 'canceled', cancellation: body.resource });
  expect(now.invitees[0].no_show.uri).toBe(marked.body.resource.uri);
  expect((await post(path, {})).status).toBe(403);
  expect((await post('/invitee_no_shows', { invitee: `${invitee}X` })).status).toBe(404);
});

describe('reassigning', () => {
  test('a reassigned meeting leaves the listing of its former host, and no webhook reports it', async () => {
    const sandbox = await testSandbox({ events: 0, now: NOW });
    const { event, invitees } = sandbox.control.book({ host: 0 });
    const reassigned = sandbox.control.reassign({ event: event.uri, to: 1 });
    expect(reassigned.invitees).toEqual(invitees);
    expect(reassigned.event.updated_at > event.updated_at).toBe(true);
    expect(reassigned.event.event_memberships).toEqual([
      { ...event.event_memberships[0], ...hostOf(sandbox, 1) },
    ]);
    expect((await readAll(sandbox, eventsPath(sandbox, {}, 0), 0)).rows).toEqual([]);
    expect((await readAll(sandbox, eventsPath(sandbox, {}, 1), 1)).rows).toEqual([reassigned.event]);
    expect(sandbox.control.deliveries()).toEqual([]);
  });
});

describe('erasing', () => {
  test('an erased invitee has no personal data in any meeting, and no timestamp moves', async () => {
    const { control } = await testSandbox({ events: 0, now: NOW });
    const person = { email: 'Ada@example.com', name: 'Ada', timezone: 'Europe/Berlin' };
    const first = control.book({ invitees: [person, { email: 'bob@example.com' }] });
    const second = control.book({ start: '+3d', invitees: [person] });
    expect(control.erase({ email: 'ada@example.com' })).toEqual({ erased: 2 });
    const [one, two] = control.state();
    expect(JSON.stringify([one, two])).not.toMatch(/ada/i);
    expect(one?.invitees[1]).toEqual(first.invitees[1]);
    expect(two?.event).toEqual(second.event);
    expect(two?.invitees[0]).toMatchObject({
      name: null,
      timezone: null,
      updated_at: second.invitees[0]?.updated_at,
    });
  });
});

describe('importing', () => {
  test('imported meetings have the ids and times that an older integration stored', async () => {
    const sandbox = await testSandbox({ events: 0, now: NOW });
    const { control } = sandbox;
    const imported = control.importMeetings({
      meetings: [
        { host: 1, id: 'AAAAAAAAAAAAAAAA', start: '2025-05-01T10:00:00Z', created: '-2d', name: 'Old' },
        { host: 1, id: 'https://api.calendly.com/scheduled_events/b-1', start: '+2d', invitees: 2 },
      ],
    });
    const { rows } = await readAll(sandbox, eventsPath(sandbox, {}, 1), 1);
    expect(rows).toEqual(imported.map(({ event }) => event));
    expect(rows).toMatchObject([
      { uri: 'https://api.calendly.com/scheduled_events/AAAAAAAAAAAAAAAA', name: 'Old' },
      { uri: 'https://api.calendly.com/scheduled_events/b-1', invitees_counter: { total: 2 } },
    ]);
    expect(rows[0].start_time).toBe('2025-05-01T10:00:00.000000Z');
    expect(rows[0].created_at.slice(0, 10)).toBe('2026-03-08');
    const again = { meetings: [{ id: 'b-1', start: '+2d' }] };
    expect(() => control.importMeetings(again)).toThrow(/an event b-1 already/);
  });
});

describe('timestamps', () => {
  test('updated_at stands still or runs backwards on request', async () => {
    const { control } = await testSandbox({ events: 0, now: NOW });
    const { event, invitees } = control.book({ invitees: 2, limit: 5 });
    control.set({ updated_at: 'frozen' });
    const frozen = control.cancel({ event: event.uri, invitee: -1, touch: true });
    expect(frozen.event.updated_at).toBe(event.updated_at);
    expect(frozen.invitees[1]).toMatchObject({ status: 'canceled', updated_at: invitees[1]?.updated_at });
    control.set({ updated_at: 'backwards' });
    const backwards = control.cancel({ event: event.uri });
    expect(backwards.event.updated_at < event.updated_at).toBe(true);
    control.set({ updated_at: 'normal' });
    const normal = control.edit({ event: event.uri, set: { name: 'Later' } });
    expect(normal.event.updated_at > event.updated_at).toBe(true);
  });
});

function hostOf(sandbox: Sandbox, index: number) {
  const { uri: user, email: user_email, name: user_name } = sandbox.hosts[index] ?? {};
  return { user, user_email, user_name };
}
