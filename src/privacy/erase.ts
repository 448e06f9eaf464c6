/**
 * Forgets a person: what Calendly says of them is removed from every table, and a tombstone keeps later syncs and
 * deliveries from bringing it back (resources/meetings/forget.ts). Invitee rows stay without anything personal.
 */
import type { Database, Sql } from '../database/connection.js';
import { persistentTransaction } from '../database/retry.js';
import { requireSchema } from '../database/schema.js';
import { isJson } from '../database/table.js';
import { lockEvents } from '../database/tables/calendly-events.js';
import {
  addErasure,
  findDeliveriesNaming,
  findMeetingsNaming,
  findRemains,
  isConnected,
  replaceInColumn,
} from '../database/tables/erasures.js';
import { findInvitees, upsertInvitees } from '../database/tables/invitees.js';
import { findMeetings, updateMeetings } from '../database/tables/meetings.js';
import { PERSONAL } from '../database/tables/personal.js';
import {
  deleteResources,
  findResourcesNaming,
  hasResources,
  writeResources,
} from '../database/tables/resources.js';
import { replacePayloads } from '../database/tables/webhook-events.js';
import { CalendlySyncError } from '../errors.js';
import { type Erased, forgetInDelivery, forgetInText, normalAddress } from '../resources/meetings/forget.js';
import { forgottenRows } from '../resources/meetings/forget-stored.js';
import { forgetInResource, type ResourceTable, rowOf } from '../resources/resource-table.js';
import { RESOURCE_TABLES } from '../resources/tables.js';
import { retry } from '../retry.js';

export interface EraseOptions {
  database: Database;
  /** The person's e-mail address, in any case. */
  email: string;
  /** Only counts; writes nothing. */
  dryRun?: boolean | undefined;
  /** Stops between two batches. What is done stays done, and the same call goes on from there. */
  signal?: AbortSignal | undefined;
}

/** What was removed, or would be. */
export interface EraseResult {
  /** Meetings that named the person. */
  meetings: number;
  /** Invitees that stay without anything personal. */
  invitees: number;
  /** Stored webhook deliveries. */
  deliveries: number;
  /** Contacts, members, submissions of forms, error messages and the like. */
  texts: number;
  /** Columns of the application that hold the address, which only the application can remove. */
  left: { table: string; rows: number }[];
  /** Backups in this database that hold it; `rollback --drop-backup` drops one. */
  backups: string[];
}

const BATCH = 100;

/**
 * Forgets a person everywhere in this database.
 * @throws CalendlySyncError `usage` if it is no address, or that of a connected user; `locked` if a transaction does
 * not end; `schema_not_ready`, `database_*`
 */
export async function erase(options: EraseOptions): Promise<EraseResult> {
  const { database, dryRun = false, signal } = options;
  const address = normalAddress(options.email);
  if (!/^\S+@\S+$/.test(address))
    throw new CalendlySyncError('usage', `"${options.email}" is not an e-mail address.`);
  const { hasSyncState } = await database.transaction(
    async (sql) => {
      const schema = await requireSchema(sql);
      if (!(await isConnected(sql, address))) return schema;
      throw new CalendlySyncError('usage', `${address} is a connected Calendly user.`, {
        hint: `This removes the user with all of their meetings: calendly-sync erase --user ${address}`,
      });
    },
    { readOnly: true },
  );
  // First: from here on nobody stores the person again.
  if (!dryRun) await addTombstone(database, address);
  const erased: Erased = new Set([address]);
  const result: EraseResult = { meetings: 0, invitees: 0, deliveries: 0, texts: 0, left: [], backups: [] };
  const found = await database.transaction((sql) => findMeetingsNaming(sql, address), { readOnly: true });
  for (const [userId, ids] of batches(found)) {
    signal?.throwIfAborted();
    const changed = await run(database, dryRun, (sql) => eraseMeetings(sql, userId, ids, erased, dryRun));
    result.meetings += changed.meetings;
    result.invitees += changed.invitees;
  }
  for (let after = ''; hasSyncState; ) {
    signal?.throwIfAborted();
    const deliveries = await run(database, dryRun, async (sql) => {
      const batch = await findDeliveriesNaming(sql, address, after, { limit: BATCH, lock: !dryRun });
      const kept = batch.map(({ eventId, body }) => ({ eventId, body: forgetInBody(body, erased) }));
      if (!dryRun && kept.length > 0) await replacePayloads(sql, kept);
      return kept;
    });
    const last = deliveries.at(-1);
    if (!last) break;
    result.deliveries += deliveries.length;
    after = last.eventId;
  }
  const hasTables = await database.transaction(hasResources, { readOnly: true });
  if (hasTables)
    for (const table of RESOURCE_TABLES)
      result.texts += await run(database, dryRun, (sql) => eraseResources(sql, table, erased, dryRun));
  const absent = [
    ...(hasSyncState ? [] : ['calendly_webhook_events']),
    ...(hasTables ? [] : ['calendly_resource_states', ...RESOURCE_TABLES.map(({ table }) => table)]),
  ];
  if (!dryRun) result.texts += await eraseTexts(database, address, absent);
  const remains = await database.transaction((sql) => findRemains(sql, address, Object.keys(PERSONAL)), {
    readOnly: true,
  });
  result.backups = [...new Set(remains.flatMap(({ schema, isBackup }) => (isBackup ? [schema] : [])))];
  if (!dryRun)
    result.left = remains.flatMap(({ table, rows, isBackup }) => (isBackup ? [] : [{ table, rows }]));
  return result;
}

function run<T>(database: Database, dryRun: boolean, work: (sql: Sql) => Promise<T>): Promise<T> {
  return dryRun ? database.transaction(work, { readOnly: true }) : persistentTransaction(database, work);
}

/** Waits for transactions that do not know of the tombstone yet. */
function addTombstone(database: Database, address: string): Promise<void> {
  return retry(() => persistentTransaction(database, (sql) => addErasure(sql, address)), {
    retries: 10,
    pauseMs: 500,
    shouldRetry: (error) => error instanceof CalendlySyncError && error.code === 'locked',
  });
}

async function eraseMeetings(sql: Sql, userId: string, ids: string[], erased: Erased, dryRun: boolean) {
  if (!dryRun) await lockEvents(sql, userId, ids);
  const meetings = [...(await findMeetings(sql, userId, ids)).values()];
  const invitees = await findInvitees(sql, userId, ids);
  const changes = meetings.map((meeting) =>
    forgottenRows(
      meeting,
      invitees.filter(({ meeting_id }) => meeting_id === meeting.id),
      erased,
    ),
  );
  const rows = changes.flatMap(({ meeting }) => (meeting ? [meeting] : []));
  const people = changes.flatMap((change) => change.invitees);
  if (!dryRun) {
    await updateMeetings(sql, userId, rows, false);
    await upsertInvitees(sql, people);
  }
  const changed = changes.filter((change) => change.meeting || change.invitees.length > 0).length;
  return { meetings: changed, invitees: people.filter(({ email }) => email === null).length };
}

function forgetInBody(body: unknown, erased: Erased) {
  if (isJson(body)) return forgetInDelivery(body, erased);
  return forgetInText(String(body), erased);
}

/** Rows of resources: one that is about the person goes, or keeps nothing personal; the others lose the address. */
async function eraseResources(
  sql: Sql,
  table: ResourceTable,
  erased: Erased,
  dryRun: boolean,
): Promise<number> {
  const [address = ''] = erased;
  const found = await findResourcesNaming(sql, table.table, address, !dryRun);
  if (dryRun) return found.length;
  for (const { raw, ...source } of found) {
    const kept = forgetInResource(table, { ...raw, uri: source.uri }, erased);
    if (kept === null) await deleteResources(sql, table.table, [source.uri]);
    else await writeResources(sql, table, [rowOf(table, kept)], source);
  }
  return found.length;
}

/** Replaces the address in the text columns of our own tables whose rows are not rewritten. */
async function eraseTexts(database: Database, address: string, absent: readonly string[]): Promise<number> {
  let rows = 0;
  for (const [table, { text }] of Object.entries(PERSONAL)) {
    if (['users', 'meetings', 'meeting_invitees'].includes(table)) continue;
    if (absent.includes(table)) continue;
    for (const column of text)
      rows += await persistentTransaction(database, (sql) =>
        replaceInColumn(sql, { table, column }, address),
      );
  }
  return rows;
}

/** Batches of meetings, each of one user. */
function batches(found: { userId: string; externalId: string }[]): [string, string[]][] {
  const all: [string, string[]][] = [];
  for (const { userId, externalId } of found) {
    const last = all.at(-1);
    if (last && last[0] === userId && last[1].length < BATCH) last[1].push(externalId);
    else all.push([userId, [externalId]]);
  }
  return all;
}
