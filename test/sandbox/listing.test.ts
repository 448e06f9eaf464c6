import { describe, expect, test } from 'vitest';
import { ask, eventsPath, readAll, testSandbox } from '../support/sandbox.js';

const NOON = new Date('2026-03-10T12:00:00Z');

describe('the listing of meetings', () => {
  test('the listing gives every meeting of the host once, in both statuses, by start', async () => {
    const sandbox = await testSandbox({ events: 250, now: NOON });
    const { rows, pages } = await readAll(sandbox, eventsPath(sandbox, { count: '100' }));
    expect(pages).toBe(3);
    expect(rows).toHaveLength(250);
    expect(new Set(rows.map(({ uri }) => uri)).size).toBe(250);
    const starts = rows.map(({ start_time }) => Date.parse(start_time));
    expect(starts).toEqual([...starts].sort((a, b) => a - b));
    const mine = sandbox.control
      .state()
      .filter(({ event }) => event.event_memberships.some(({ user }) => user === sandbox.hosts[0]?.uri));
    expect(rows).toEqual(mine.map(({ event }) => event));
  });

  test('the listing gives the same rows in descending order and by status', async () => {
    const sandbox = await testSandbox({ events: 60, now: NOON });
    const path = (more: Record<string, string>) => eventsPath(sandbox, { count: '25', ...more });
    const forward = (await readAll(sandbox, path({}))).rows;
    const backward = (await readAll(sandbox, path({ sort: 'start_time:desc' }))).rows;
    expect(backward).toEqual([...forward].reverse());
    const canceled = (await readAll(sandbox, path({ status: 'canceled' }))).rows;
    const active = (await readAll(sandbox, path({ status: 'active' }))).rows;
    expect(canceled.length).toBeGreaterThan(3);
    expect(canceled).toEqual(forward.filter(({ status }) => status === 'canceled'));
    expect(active).toEqual(forward.filter(({ status }) => status === 'active'));
  });

  test('the window of the listing includes its bounds', async () => {
    const sandbox = await testSandbox({ events: 0, now: NOON });
    const starts = ['2026-03-11T09:00:00Z', '2026-03-11T10:00:00Z', '2026-03-11T11:00:00Z'];
    for (const start of starts) sandbox.control.book({ start });
    const window = { min_start_time: '2026-03-11T09:00:00.000000Z', max_start_time: '2026-03-11T11:00:00Z' };
    for (const sort of ['start_time:asc', 'start_time:desc']) {
      const { rows } = await readAll(sandbox, eventsPath(sandbox, { ...window, sort, count: '1' }));
      expect(rows).toHaveLength(3);
    }
  });

  test('a query time may have any number of fraction digits from none to six', async () => {
    const sandbox = await testSandbox({ events: 0, now: NOON });
    const { event } = sandbox.control.book({ start: '2026-03-11T09:00:00.123456Z' });
    for (let digits = 0; digits <= 6; digits++) {
      const fraction = digits === 0 ? '' : `.${'123456'.slice(0, digits)}`;
      const min_start_time = `2026-03-11T09:00:00${fraction}Z`;
      const { status, body } = await ask(sandbox, eventsPath(sandbox, { min_start_time }));
      expect([status, body.collection]).toEqual([200, [event]]);
    }
    const toISOString = eventsPath(sandbox, {
      max_start_time: new Date('2026-03-11T09:00:00.123Z').toISOString(),
    });
    expect((await ask(sandbox, toISOString)).body.collection).toEqual([]);
  });

  test('the listing finds meetings by the e-mail of an invitee', async () => {
    const sandbox = await testSandbox({ events: 40, now: NOON });
    const { event } = sandbox.control.book({
      invitees: [{ email: 'ada@example.com' }, { email: 'bob@example.com' }],
    });
    const { rows } = await readAll(sandbox, eventsPath(sandbox, { invitee_email: 'BOB@example.com' }));
    expect(rows).toEqual([event]);
  });

  test('one answer names all invalid parameters', async () => {
    const sandbox = await testSandbox({ events: 0 });
    const wrong = {
      count: '101',
      status: 'gone',
      sort: 'name:asc',
      min_start_time: '2026-03-10T12:00:00.0000000Z',
    };
    const { status, body } = await ask(sandbox, eventsPath(sandbox, wrong));
    expect(status).toBe(400);
    expect(body).toMatchObject({
      title: 'Invalid Argument',
      message: 'The supplied parameters are invalid.',
    });
    const parameters = body.details.map(({ parameter }: { parameter: string }) => parameter);
    expect(parameters.sort()).toEqual(['count', 'min_start_time', 'sort', 'status']);
  });

  test.each([
    ['count', '0'],
    ['count', 'ten'],
    ['min_start_time', '2026-03-10'],
    ['max_start_time', '2026-03-10T12:00:00+01:00'],
    ['max_start_time', '2026-02-30T12:00:00Z'],
    ['user', 'me'],
    ['organization', 'https://api.calendly.com/users/ABC'],
    ['invitee_email', 'nobody'],
    ['page_token', 'made-up'],
  ])('the listing refuses %s=%s', async (parameter, value) => {
    const sandbox = await testSandbox({ events: 3 });
    const { status, body } = await ask(sandbox, eventsPath(sandbox, { [parameter]: value }));
    expect(status).toBe(400);
    expect(body.details).toMatchObject([{ parameter }]);
  });

  test('the listing needs a user, an organization or a group', async () => {
    const sandbox = await testSandbox({ events: 3 });
    const { status, body } = await ask(sandbox, '/scheduled_events?count=10');
    expect(status).toBe(400);
    expect(body.details).toHaveLength(1);
  });
});

describe('page tokens', () => {
  test('a page token works only for its exact query and caller', async () => {
    const sandbox = await testSandbox({ events: 30, hosts: 3 });
    const path = eventsPath(sandbox, { count: '10' });
    const { next_page_token: token } = (await ask(sandbox, path)).body.pagination;
    expect((await ask(sandbox, `${path}&page_token=${token}`)).status).toBe(200);
    const strangers = [
      eventsPath(sandbox, { count: '11', page_token: token }),
      eventsPath(sandbox, { count: '10', status: 'active', page_token: token }),
      `${path}&page_token=${token}x`,
    ];
    for (const stranger of strangers) {
      const { status, body } = await ask(sandbox, stranger);
      expect(status).toBe(400);
      expect(body.details).toEqual([{ parameter: 'page_token', message: 'is invalid' }]);
    }
    const organization = `/scheduled_events?organization=${sandbox.organization}&count=10`;
    const owners = (await ask(sandbox, organization)).body.pagination.next_page;
    expect((await ask(sandbox, owners, { host: 2 })).status).toBe(400);
  });

  test('a page token goes stale', async () => {
    const sandbox = await testSandbox({ events: 30 });
    const { next_page: next } = (await ask(sandbox, eventsPath(sandbox))).body.pagination;
    expect((await ask(sandbox, next)).status).toBe(200);
    sandbox.control.clock({ advance: '301s' });
    const { status, body } = await ask(sandbox, next);
    expect(status).toBe(400);
    expect(body.details).toEqual([{ parameter: 'page_token', message: 'is invalid' }]);
  });

  test('the next page has the origin of the request and continues where the page ended while meetings come and go', async () => {
    const sandbox = await testSandbox({ events: 0, now: NOON });
    const booked = Array.from(
      { length: 9 },
      (_, hour) => sandbox.control.book({ start: `+${hour + 1}h` }).event.uri,
    );
    const first = (await ask(sandbox, eventsPath(sandbox, { count: '3' }))).body;
    expect(new URL(first.pagination.next_page).origin).toBe(sandbox.url);
    sandbox.control.delete({ event: booked[0] ?? '' });
    sandbox.control.book({ start: '+30m' });
    const { rows } = await readAll(sandbox, first.pagination.next_page);
    expect(rows.map(({ uri }) => uri)).toEqual(booked.slice(3));
  });

  test('the count of a page is its number of rows, never a total', async () => {
    const sandbox = await testSandbox({ events: 25 });
    const first = (await ask(sandbox, eventsPath(sandbox))).body;
    expect(first.pagination.count).toBe(20);
    const last = (await ask(sandbox, first.pagination.next_page)).body;
    expect(last.pagination).toMatchObject({ count: 5, next_page: null, next_page_token: null });
  });
});
