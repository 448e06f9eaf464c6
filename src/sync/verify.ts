/**
 * Compares the database with Calendly and writes nothing: every event of the full window with its row, column by
 * column, and the invitees of a sample. A sync trusts what it remembers of an event; this does not.
 */
import { findKnownAccount, resolveAccount } from '../accounts/resolve.js';
import type { CalendlyClient } from '../calendly/client.js';
import type { CalendlyEvent, Parsed } from '../calendly/schemas.js';
import type { Database } from '../database/connection.js';
import { requireSchema } from '../database/schema.js';
import { findActive } from '../database/tables/calendly-events.js';
import { previewErased } from '../database/tables/erasures.js';
import { findInvitees } from '../database/tables/invitees.js';
import { findMeetings } from '../database/tables/meetings.js';
import { type UserId, userIdForJson } from '../database/user-id.js';
import { CalendlySyncError } from '../errors.js';
import { diffMeeting } from '../resources/meetings/diff.js';
import { addressesIn } from '../resources/meetings/forget.js';
import { externalId, sameJson } from '../resources/meetings/rows.js';
import { toText } from './listing.js';
import { clientOf, requireToken, type SyncOptions } from './options.js';
import { planRun } from './plan.js';

export interface VerifyOptions
  extends Pick<
    SyncOptions,
    'config' | 'database' | 'signal' | 'users' | 'concurrency' | 'transport' | 'timing' | 'now'
  > {
  /** Events whose invitees are read, chosen at random; one request each. Default 100. */
  sample?: number | undefined;
}

/** One thing that the database and Calendly disagree about. */
export interface Difference {
  /** URI of the event, or of the invitee. */
  uri: string;
  /** `missing`: not stored · `extra`: stored, but Calendly does not have it · `differs`: see `columns`. */
  kind: 'missing' | 'extra' | 'differs';
  columns: string[];
}

/** The result of a comparison. */
export interface Verification {
  user_id: UserId;
  email: string | null;
  /** What was compared. */
  meetings: number;
  invitees: number;
  /** Events whose invitees were compared. */
  sampled: number;
  /** The first 100. */
  differences: Difference[];
  differences_count: number;
  requests: number;
}

const MAX_DIFFERENCES = 100;
const DEFAULT_SAMPLE = 100;
// What Calendly says now is compared as it is, whatever was written last.
const SETTLED = '9999-12-31T00:00:00.000000Z';

/**
 * Compares the rows of the token's user with Calendly.
 * @throws CalendlySyncError `user_unknown` before the first sync; as `sync`
 */
export async function verify(options: VerifyOptions): Promise<Verification> {
  const { database, users = [], now = Date.now, sample = DEFAULT_SAMPLE } = options;
  const token = requireToken(options.config);
  const known = await database.transaction(
    async (sql) => {
      await requireSchema(sql);
      return findKnownAccount(sql, token, users);
    },
    { readOnly: true },
  );
  const client = clientOf(options, token);
  const { userId, calendlyUri, email } = await resolveAccount(database, client, token, {
    ...{ known, named: users, write: false },
  });
  if (userId === null)
    throw new CalendlySyncError('user_unknown', 'No user is linked to this token yet.', {
      hint: 'Run: calendly-sync sync',
    });
  const account: Compared = { database, client, userId, hostUri: calendlyUri, differences: [] };
  const { window } = planRun({ now: now(), initialComplete: null, lastFullListingAt: null });
  const sampled: Parsed<CalendlyEvent>[] = [];
  const listed = new Set<string>();
  for await (const page of client.listEvents(calendlyUri, window)) {
    const fresh = page.rows.filter(({ value }) => !listed.has(externalId(value.uri)));
    await compareEvents(account, fresh);
    for (const event of fresh) {
      listed.add(externalId(event.value.uri));
      // Each event is in the sample with the same probability, however many there are.
      if (sampled.length < sample) sampled.push(event);
      else {
        const place = Math.floor(Math.random() * listed.size);
        if (place < sample) sampled[place] = event;
      }
    }
  }
  await findExtra(account, listed, [toText(window.from + 1_000), toText(window.to)]);
  let invitees = 0;
  for (const event of sampled) invitees += await compareInvitees(account, event);
  return {
    user_id: userIdForJson(userId),
    email,
    meetings: listed.size,
    invitees,
    sampled: sampled.length,
    differences: account.differences.slice(0, MAX_DIFFERENCES),
    differences_count: account.differences.length,
    requests: client.counters().requests,
  };
}

interface Compared {
  database: Database;
  client: CalendlyClient;
  userId: string;
  hostUri: string;
  differences: Difference[];
}

async function compareEvents(account: Compared, events: Parsed<CalendlyEvent>[]): Promise<void> {
  const { database, userId, hostUri, differences } = account;
  const ids = events.map(({ value }) => externalId(value.uri));
  const addresses = [...addressesIn(events.map(({ raw }) => raw))];
  const [stored, erased] = await database.transaction(
    async (sql) => [await findMeetings(sql, userId, ids), await previewErased(sql, addresses)] as const,
    { readOnly: true },
  );
  for (const { value, raw } of events) {
    const meeting = stored.get(externalId(value.uri));
    if (!meeting) {
      differences.push({ uri: value.uri, kind: 'missing', columns: [] });
      continue;
    }
    const times = { event: SETTLED, invitees: SETTLED };
    const observation = {
      uri: value.uri,
      event: raw,
      invitees: null,
      source: 'listing',
      requestedAt: times,
    } as const;
    const diff = diffMeeting({ meeting, invitees: new Map() }, { ...observation, hostUri, erased });
    if (diff?.row)
      differences.push({ uri: value.uri, kind: 'differs', columns: differing(diff.row, meeting) });
  }
}

/** Active rows of the window that were not listed, and that Calendly does not have either when it is asked for them. */
async function findExtra(
  { database, client, userId, differences }: Compared,
  listed: Set<string>,
  range: string[],
) {
  const [from = '', to = ''] = range;
  const stored = await database.transaction((sql) => findActive(sql, userId, from, to), { readOnly: true });
  for (const uri of stored) {
    if (listed.has(externalId(uri)) || 'found' in (await client.event(uri))) continue;
    differences.push({ uri, kind: 'extra', columns: [] });
  }
}

/** @returns the number of invitees that Calendly has */
async function compareInvitees(account: Compared, { value, raw }: Parsed<CalendlyEvent>): Promise<number> {
  const { database, client, userId, differences } = account;
  const id = externalId(value.uri);
  const { invitees } = await client.invitees(value.uri);
  const raws = invitees.map((invitee) => invitee.raw);
  const [meeting, stored, erased] = await database.transaction(
    async (sql) =>
      [
        (await findMeetings(sql, userId, [id])).get(id),
        await findInvitees(sql, userId, [id]),
        await previewErased(sql, [...addressesIn([raw, raws])]),
      ] as const,
    { readOnly: true },
  );
  if (!meeting) return invitees.length;
  const byUri = new Map(stored.map((invitee) => [invitee.calendly_uri, invitee]));
  const times = { event: SETTLED, invitees: SETTLED };
  const read = { uri: value.uri, event: raw, invitees: raws, source: 'request', requestedAt: times } as const;
  const diff = diffMeeting({ meeting, invitees: byUri }, { ...read, erased });
  for (const row of diff?.invitees ?? []) {
    const known = byUri.get(row.calendly_uri);
    const [kind, columns] = known
      ? (['differs', differing(row, known)] as const)
      : (['missing', []] as const);
    differences.push({ uri: row.calendly_uri, kind, columns: [...columns] });
  }
  const found = new Set(invitees.map(({ uri }) => uri));
  for (const uri of byUri.keys()) if (!found.has(uri)) differences.push({ uri, kind: 'extra', columns: [] });
  return invitees.length;
}

function differing(row: object, stored: object): string[] {
  const known = stored as Record<string, unknown>;
  return Object.entries(row).flatMap(([name, value]) => (sameJson(value, known[name] ?? null) ? [] : name));
}
