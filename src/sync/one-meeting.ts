/**
 * Reads one meeting and its invitees from Calendly and writes them; used by `sync --event`. Leaves the sync
 * state as it is.
 */
import { resolveAccount } from '../accounts/resolve.js';
import type { Database, Sql } from '../database/connection.js';
import { persistentTransaction } from '../database/retry.js';
import { requireSchema } from '../database/schema.js';
import { adoptMeetings } from '../database/tables/adopt-meetings.js';
import { databaseTime } from '../database/tables/calendly-events.js';
import { markDeleted } from '../database/tables/meetings.js';
import { CalendlySyncError } from '../errors.js';
import { applyObservations } from '../resources/meetings/apply.js';
import type { Observation } from '../resources/meetings/diff.js';
import { ownership } from '../resources/meetings/owners.js';
import { externalId } from '../resources/meetings/rows.js';
import {
  countApplied,
  countRequests,
  sumCounts,
  toUserResult,
  type UserResult,
  zeroCounts,
} from './report.js';
import { clientOf, requireToken, type SyncOptions, type SyncResult } from './sync.js';

/**
 * Brings one meeting up to date; the sync state of its user stays as it is.
 * @param options.event the event's URI
 * @throws CalendlySyncError `usage` for an invalid URI or a meeting that the token's user does not host,
 *   `user_unknown` if no user is linked to the token
 */
export async function readOneMeeting(options: SyncOptions & { event: string }): Promise<SyncResult> {
  const { database, onEvent, event: uri, dryRun = false, now = Date.now } = options;
  const started = now();
  if (!URL.canParse(uri) || !/\/scheduled_events\/[^/]+$/.test(new URL(uri).pathname)) {
    throw new CalendlySyncError('usage', `--event: "${uri}" is not the URI of a scheduled event.`, {
      hint: 'Expected https://api.calendly.com/scheduled_events/ID',
    });
  }
  const token = requireToken(options.config);
  await database.transaction(requireSchema, { readOnly: true });
  const client = clientOf(options, token);
  const { userId, calendlyUri, email } = await resolveAccount(
    database,
    client,
    token,
    options.users ?? [],
    !dryRun,
  );
  if (userId === null) {
    throw new CalendlySyncError('user_unknown', 'No user is linked to this token yet.', {
      hint: 'Run: calendly-sync sync',
    });
  }
  const counts = zeroCounts();
  const seenAt = await database.transaction(databaseTime, { readOnly: true });
  const answer = await client.event(uri);
  if ('found' in answer) {
    const { value, raw: event } = answer.found;
    const isHosted = ownership(event, calendlyUri) !== 'reassigned';
    const invitees = isHosted ? (await client.invitees(value.uri)).invitees.map(({ raw }) => raw) : null;
    counts.fetched[value.status === 'canceled' ? 'canceled' : 'active'] = 1;
    if (isHosted) counts.invitees.events_read = 1;
    const observation: Observation = {
      uri: value.uri,
      event,
      invitees,
      source: 'request',
      requestedAt: { event: seenAt, invitees: seenAt },
      hostUri: calendlyUri,
    };
    // The application may have inserted the meeting itself.
    if (!dryRun) await adoptMeetings(database, { signal: options.signal, userId });
    const write = (sql: Sql) => applyObservations(sql, userId, [observation]);
    for (const applied of await inTransaction(database, dryRun, write)) {
      if (!isHosted && applied.meetingId === null) {
        throw new CalendlySyncError('usage', `${email ?? calendlyUri} does not host ${uri}.`, {
          hint: 'A meeting is only stored under the user whose token it was read with.',
        });
      }
      countApplied(counts, applied);
      if (applied.warning) onEvent({ type: 'warning', email, text: `${uri}: ${applied.warning}` });
    }
  } else {
    const reason = 'gone' in answer ? 'gone' : 'access_lost';
    const write = (sql: Sql) => markDeleted(sql, userId, externalId(uri), reason);
    counts[await inTransaction(database, dryRun, write)]++;
  }
  countRequests(counts, client);
  const durationMs = now() - started;
  const result: UserResult = {
    ...toUserResult({ userId, email, plan: null, counts, durationMs, error: null }),
    mode: 'incremental',
  };
  onEvent({ type: 'finished', email, result });
  return { users: [result], totals: sumCounts([counts]) };
}

/**
 * Runs the work in one transaction; a dry run rolls it back, so that it counts exactly what a real run would change.
 */
async function inTransaction<T>(
  database: Database,
  dryRun: boolean,
  work: (sql: Sql) => Promise<T>,
): Promise<T> {
  if (!dryRun) return persistentTransaction(database, work);
  const rollBack = new Error('rolled back');
  const done: T[] = [];
  try {
    await database.transaction(async (sql) => {
      done.push(await work(sql));
      throw rollBack;
    });
  } catch (error) {
    if (error !== rollBack) throw error;
  }
  return done[0] as T;
}
