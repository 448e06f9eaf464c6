/** What a sync would change, found out with the same requests but without one write. Invitees are not read. */
import type { CalendlyClient } from '../calendly/client.js';
import type { Database } from '../database/connection.js';
import { databaseTime } from '../database/tables/event-reads.js';
import { findMeetings } from '../database/tables/meetings.js';
import { diffEvent } from '../resources/meetings/diff.js';
import { externalId } from '../resources/meetings/rows.js';
import { createListing } from './listing.js';
import type { Plan } from './plan.js';
import { type Counts, type OnSyncEvent, zeroCounts } from './report.js';

export interface DryRunOptions {
  database: Database;
  client: CalendlyClient;
  /** Null when no user is stored yet: everything would be new. */
  userId: string | null;
  calendlyUri: string;
  email: string | null;
  plan: Plan;
  signal: AbortSignal;
  onEvent: OnSyncEvent;
}

/** Counts as a real run would; `invitees.events_read` says how many events would have their invitees read. */
export async function dryRun(options: DryRunOptions): Promise<Counts> {
  const { database, client, userId, calendlyUri, email, plan, signal, onEvent } = options;
  const counts = zeroCounts();
  const seenAt = await database.transaction(databaseTime, { readOnly: true });
  const listing = createListing(userId, plan.window, seenAt);
  const unlisted = new Set<string>();
  for await (const page of client.listEvents(calendlyUri, plan.window)) {
    const { findings: found, accept } = await database.transaction((sql) => listing.examine(sql, page), {
      readOnly: true,
    });
    accept();
    counts.fetched.active += found.active;
    counts.fetched.canceled += found.canceled;
    counts.unchanged += found.unchanged.length;
    for (const { outcome, readsInvitees } of found.news) {
      if (outcome !== 'unknown') counts[outcome]++;
      if (readsInvitees) counts.invitees.events_read++;
    }
    for (const uri of found.unlisted) unlisted.add(uri);
    for (const uri of [...found.unchanged, ...found.news.map((one) => one.uri)]) unlisted.delete(uri);
    const listed = counts.fetched.active + counts.fetched.canceled;
    onEvent({ type: 'progress', email, listed, read: 0, toRead: null, waitingUntil: client.waitingUntil() });
    signal.throwIfAborted();
  }
  for (const uri of unlisted) {
    const answer = await client.event(uri);
    if (userId === null) continue;
    const known = await database.transaction(
      async (sql) => (await findMeetings(sql, userId, [externalId(uri)])).get(externalId(uri)),
      { readOnly: true },
    );
    if (!known) continue;
    if ('found' in answer) {
      const { outcome } = diffEvent(known, answer.found.raw, seenAt);
      if (outcome !== 'unknown') counts[outcome]++;
      counts.invitees.events_read++;
    } else {
      counts[known.is_deleted ? 'updated' : 'deleted']++;
    }
  }
  const { active, canceled } = counts.fetched;
  onEvent({ type: 'fetched', email, mode: plan.mode, active, canceled });
  return counts;
}
