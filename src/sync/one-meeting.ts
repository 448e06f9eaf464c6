/** Reads one meeting again, with its invitees, and writes it through the same function as every other reading. */

import { resolveAccount } from '../accounts/resolve.js';
import { persistentTransaction } from '../database/retry.js';
import { requireSchema } from '../database/schema.js';
import { databaseTime } from '../database/tables/event-reads.js';
import { markDeleted } from '../database/tables/meetings.js';
import { userIdForJson } from '../database/user-id.js';
import { CalendlySyncError } from '../errors.js';
import { applyObservations } from '../resources/meetings/apply.js';
import { externalId } from '../resources/meetings/rows.js';
import { countApplied, sumCounts, type UserResult, zeroCounts } from './report.js';
import { clientOf, requireToken, type SyncOptions, type SyncResult } from './sync.js';

/**
 * Brings one meeting up to date; the sync state of its user stays as it is.
 * @param options.event the event's URI
 * @throws CalendlySyncError `usage` for a meeting that the token's user does not host
 */
export async function readOneMeeting(options: SyncOptions & { event: string }): Promise<SyncResult> {
  const { database, onEvent, event: uri, now = Date.now } = options;
  const started = now();
  if (!URL.canParse(uri) || !/\/scheduled_events\/[^/]+$/.test(new URL(uri).pathname)) {
    throw new CalendlySyncError('usage', `--event: "${uri}" is no URI of a scheduled event.`, {
      hint: 'The form is https://api.calendly.com/scheduled_events/ID',
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
    !options.dryRun,
  );
  if (userId === null)
    throw new CalendlySyncError('user_unknown', 'No user is linked to this token yet.', {
      hint: 'Run: calendly-sync sync',
    });
  const counts = zeroCounts();
  const seenAt = await database.transaction(databaseTime, { readOnly: true });
  const answer = await client.event(uri);
  if ('found' in answer) {
    const { value, raw } = answer.found;
    const hosts = (value.event_memberships ?? []).map(({ user }) => user);
    if (hosts.length > 0 && !hosts.includes(calendlyUri)) {
      throw new CalendlySyncError('usage', `${email ?? calendlyUri} does not host ${uri}.`, {
        hint: 'A meeting is only ever stored under the user whose token it was read with.',
      });
    }
    const { invitees } = await client.invitees(value.uri);
    counts.fetched[value.status === 'canceled' ? 'canceled' : 'active'] = 1;
    counts.invitees.events_read = 1;
    const observation = {
      uri: value.uri,
      event: raw,
      invitees: invitees.map((one) => one.raw),
      requestedAt: { event: seenAt, invitees: seenAt },
    };
    const applied = await inTransaction(options, (sql) => applyObservations(sql, userId, [observation]));
    for (const one of applied) countApplied(counts, one);
  } else {
    const reason = 'gone' in answer ? 'gone' : 'access_lost';
    counts[await inTransaction(options, (sql) => markDeleted(sql, userId, externalId(uri), reason))]++;
  }
  const { requests, retries, rateLimitWaitMs } = client.counters();
  Object.assign(counts, { requests, retries, rate_limit_wait_ms: rateLimitWaitMs });
  const result: UserResult = {
    user_id: userIdForJson(userId),
    email,
    mode: 'incremental',
    status: 'complete',
    window: null,
    ...counts,
    duration_ms: now() - started,
    error: null,
  };
  onEvent({ type: 'finished', email, result });
  return { users: [result], totals: sumCounts([counts]) };
}

/** Runs the work in one transaction; under --dry-run it is rolled back, so that the counts are the real ones. */
async function inTransaction<T>(
  { database, dryRun }: SyncOptions,
  work: (sql: Parameters<Parameters<typeof database.transaction>[0]>[0]) => Promise<T>,
): Promise<T> {
  if (!dryRun) return persistentTransaction(database, work);
  const rolledBack = new Error('rolled back');
  let answer: { value: T } | null = null;
  try {
    await database.transaction(async (sql) => {
      answer = { value: await work(sql) };
      throw rolledBack;
    });
  } catch (thrown) {
    if (thrown !== rolledBack) throw thrown;
  }
  return (answer as { value: T } | null)?.value as T;
}
