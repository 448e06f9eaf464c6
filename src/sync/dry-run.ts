/** Computes what a sync would change, with the same requests but without writing. Reads no invitees. */
import type { Sql } from '../database/connection.js';
import { databaseTime } from '../database/tables/calendly-events.js';
import { findMeetings } from '../database/tables/meetings.js';
import { diffEvent } from '../resources/meetings/diff.js';
import { externalId } from '../resources/meetings/rows.js';
import { type ListingOptions, listChanges } from './listing.js';

/**
 * Counts into `counts` what a sync would; `invitees.events_read` is the number of events whose invitees it would read.
 */
export async function dryRun(options: ListingOptions): Promise<void> {
  const { database, client, userId, counts } = options;
  const readOnly = <T>(work: (sql: Sql) => Promise<T>) => database.transaction(work, { readOnly: true });
  const seenAt = await readOnly(databaseTime);
  const unlisted = new Set<string>();
  for await (const found of listChanges(options, null)) {
    for (const { outcome, readsInvitees } of found.changed) {
      if (outcome !== 'unknown') counts[outcome]++;
      if (readsInvitees) counts.invitees.events_read++;
    }
    for (const uri of found.unlisted) unlisted.add(uri);
    for (const uri of [...found.unchanged, ...found.changed.map((event) => event.uri)]) unlisted.delete(uri);
  }
  for (const uri of unlisted) {
    const answer = await client.event(uri);
    if (userId === null) continue;
    const id = externalId(uri);
    const known = (await readOnly((sql) => findMeetings(sql, userId, [id]))).get(id);
    if (!known) continue;
    if ('found' in answer) {
      const { outcome } = diffEvent(known, {
        event: answer.found.raw,
        source: 'request',
        requestedAt: { event: seenAt, invitees: seenAt },
        hostUri: options.calendlyUri,
      });
      if (outcome !== 'unknown') counts[outcome]++;
      counts.invitees.events_read++;
    } else {
      counts[known.is_deleted ? 'updated' : 'deleted']++;
    }
  }
}
