/** Compares the rows with the sandbox, in everything that deliveries contain. */
import type postgres from 'postgres';
import { expect } from 'vitest';
import type { Sandbox } from '../../src/sandbox/sandbox.js';
import type { Loose } from './webhooks.js';

/** An event without what a delivery lacks: the calendar's event and the buffered times. */
const bare = (raw: Loose | null) => {
  const { calendar_event: _calendar, event_memberships: hosts, ...rest } = raw ?? {};
  const named = (hosts ?? []).map(({ user, user_name, user_email }: Loose) => ({
    user,
    user_name,
    user_email,
  }));
  return { ...rest, event_memberships: named };
};

/** Asserts that the rows contain everything that deliveries contain. */
export async function expectDelivered(
  sql: postgres.Sql,
  truth: ReturnType<Sandbox['control']['state']>,
): Promise<void> {
  const rows =
    await sql`select calendly_uri as uri, status, invitees_total as total, invitees_active as active, raw from meetings`;
  expect(rows.map(({ uri }) => uri).sort()).toEqual(truth.map(({ event: { uri } }) => uri).sort());
  for (const { event: real, invitees } of truth) {
    const { raw, ...row } = rows.find(({ uri }) => uri === real.uri) ?? {};
    const { total, active } = real.invitees_counter;
    expect(bare(raw)).toEqual(bare(real));
    expect(row).toEqual({ uri: real.uri, status: real.status, total, active });
    const guests = await sql`
      select i.raw from meeting_invitees i join meetings m on m.id = i.meeting_id
      where m.calendly_uri = ${real.uri} order by i.calendly_uri`;
    const sorted = [...invitees].sort((a, b) => (a.uri < b.uri ? -1 : 1));
    expect(guests.map((guest) => guest.raw)).toEqual(sorted);
  }
}
