/**
 * The write path of the engine, beside two programs that only insert: plain unnest inserts and COPY of the same columns
 * into the same tables, all in batches of the sync's size, turn by turn. These get their rows ready-made: they need not
 * map, lock, read or compare. Figures, never asserted.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import postgres from 'postgres';
import { type Database, openServer } from '../../src/database/connection.js';
import { lockEvents, MARK } from '../../src/database/tables/calendly-events.js';
import { INVITEE } from '../../src/database/tables/invitees.js';
import { MEETING } from '../../src/database/tables/meetings.js';
import { preferIndexes } from '../../src/database/transaction.js';
import { stringifyExact } from '../../src/exact-json.js';
import { applyObservations } from '../../src/resources/meetings/apply.js';
import { diffMeeting, type Observation } from '../../src/resources/meetings/diff.js';
import { externalId } from '../../src/resources/meetings/rows.js';
import { generateAccount } from '../../src/sandbox/generate.js';
import { emptyTables } from './sync.js';

const ROUNDS = 5;
/** The sync writes so many meetings in one transaction. */
const BATCH = 100;
const WRITERS = ['new', 'unchanged', 'unnest', 'copy'] as const;
type Writer = (typeof WRITERS)[number];

export interface WriteFigures {
  meetings: number;
  invitees: number;
  /** Medians. */
  ms: Record<Writer, number>;
  /** Rate of the engine to that of the other: above 1, the engine is faster. Medians of the rounds. */
  new_to_unnest: number;
  new_to_copy: number;
  unchanged_to_unnest: number;
}

export async function benchWrites(databaseUrl: string, events: number): Promise<WriteFigures> {
  const { meetings } = generateAccount({ events, hosts: 1 });
  const requestedAt = { event: '2026-01-01T00:00:00.000000Z', invitees: '2026-01-01T00:00:00.000000Z' };
  const batches = batchesOf(
    meetings.ordered().map(({ event, invitees }): Observation => {
      // The client removes these characters from what it reads.
      const read = JSON.parse(JSON.stringify({ event, invitees }).replaceAll('\\u0000', ''));
      return { uri: event.uri, ...read, source: 'listing', requestedAt };
    }),
  );
  const mapped = batches.map(rowsOf);
  const database = openServer(databaseUrl);
  const { hostname, port } = new URL(databaseUrl);
  // With Nagle's algorithm, each COPY would wait for a delayed ACK.
  const socket = async () => {
    const connection = connect({ host: hostname, port: Number(port || 5432), noDelay: true });
    await once(connection, 'connect');
    return connection;
  };
  // `socket` is an option of postgres.js that its types omit.
  const options = { max: 1, onnotice: () => {}, socket };
  const sql = postgres(databaseUrl, options);
  const taken: Record<Writer, number[]> = { new: [], unchanged: [], unnest: [], copy: [] };
  const measure = async (writer: Writer, work: (userId: string) => Promise<void>, empty = true) => {
    if (empty) await emptyTables(databaseUrl);
    await sql`insert into users (email) select 'host@example.com' where not exists (select from users)`;
    const [{ id } = { id: '' }] = await sql<{ id: string }[]>`select id::text from users`;
    await sql`checkpoint`;
    const started = performance.now();
    await work(id);
    taken[writer].push(performance.now() - started);
  };
  // The first round only warms up.
  for (let round = 0; round <= ROUNDS; round++) {
    await measure('new', (userId) => applyAll(database, userId, batches));
    await measure('unchanged', (userId) => applyAll(database, userId, batches), false);
    await measure('unnest', (userId) => unnestAll(sql, userId, mapped));
    await measure('copy', (userId) => copyAll(sql, userId, mapped));
    if (round === 0) for (const writer of WRITERS) taken[writer].length = 0;
  }
  await Promise.all([database.close(), sql.end()]);
  const ratio = (engine: Writer, other: Writer) =>
    rounded(median(taken[other].map((ms, round) => ms / (taken[engine][round] ?? 0))), 100);
  const ms = (writer: Writer) => rounded(median(taken[writer]), 1);
  return {
    meetings: batches.flat().length,
    invitees: batches.flat().reduce((sum, { invitees }) => sum + (invitees?.length ?? 0), 0),
    ms: { new: ms('new'), unchanged: ms('unchanged'), unnest: ms('unnest'), copy: ms('copy') },
    new_to_unnest: ratio('new', 'unnest'),
    new_to_copy: ratio('new', 'copy'),
    unchanged_to_unnest: ratio('unchanged', 'unnest'),
  };
}

function batchesOf<T>(all: T[]): T[][] {
  return Array.from({ length: Math.ceil(all.length / BATCH) }, (_, index) =>
    all.slice(index * BATCH, (index + 1) * BATCH),
  );
}

async function applyAll(database: Database, userId: string, batches: Observation[][]): Promise<void> {
  for (const batch of batches)
    await database.transaction(async (sql) => {
      const ids = batch.map(({ uri }) => externalId(uri));
      const [, locked] = await Promise.all([preferIndexes(sql), lockEvents(sql, userId, ids)]);
      await applyObservations(sql, userId, batch, locked);
    });
}

type Row = Record<string, unknown>;
type Rows = ReturnType<typeof rowsOf>;

/** The rows of a batch, without ids: `of` is the place of the meeting in the batch. */
function rowsOf(batch: Observation[]) {
  const [meetings, events, invitees]: Row[][] = [[], [], []];
  for (const [of, observation] of batch.entries()) {
    const diff = diffMeeting(null, observation);
    if (!diff?.row || !diff.mark) throw new Error('a new meeting has rows');
    meetings?.push({ ...diff.row });
    events?.push({ of, external_id: diff.row.external_id, ...diff.mark });
    invitees?.push(...diff.invitees.map((row) => ({ of, ...row })));
  }
  return { meetings: meetings ?? [], events: events ?? [], invitees: invitees ?? [] };
}

const { read: _r, changed: _c, awaitsNoShows: _a, ...REMEMBERED } = MARK.types;
const TABLES = {
  meetings: { user_id: 'bigint', meeting_source: 'text', ...MEETING.types },
  events: { user_id: 'bigint', meeting_id: 'bigint', external_id: 'text', ...REMEMBERED },
  invitees: { meeting_id: 'bigint', ...INVITEE.types },
};

async function unnestAll(sql: postgres.Sql, userId: string, batches: Rows[]): Promise<void> {
  for (const { meetings, events, invitees } of batches)
    await sql.begin(async (tx) => {
      const insert = (table: string, types: Record<string, string>, rows: Row[], returning = '') => {
        const names = Object.keys(types);
        const arrays = Object.values(types).map((type, at) => `$${at + 1}::text[]::${type.split(' ')[0]}[]`);
        return tx.unsafe<{ id: string; calendly_uri: string }[]>(
          `insert into ${table} (${names}) select * from unnest(${arrays}) ${returning}`,
          names.map((name) => rows.map((row) => textOf(row[name]))),
          { prepare: true },
        );
      };
      const owned = meetings.map((row) => ({ user_id: userId, meeting_source: 'calendly', ...row }));
      const returned = await insert('meetings', TABLES.meetings, owned, 'returning id, calendly_uri');
      const ids = new Map(returned.map(({ id, calendly_uri }) => [calendly_uri, id]));
      const withId = (row: Row) => ({
        user_id: userId,
        meeting_id: ids.get(String(meetings[Number(row.of)]?.calendly_uri)),
        ...row,
      });
      await Promise.all([
        insert('calendly_events', TABLES.events, events.map(withId)),
        insert('meeting_invitees', TABLES.invitees, invitees.map(withId)),
      ]);
    });
}

async function copyAll(sql: postgres.Sql, userId: string, batches: Rows[]): Promise<void> {
  for (const [index, { meetings, events, invitees }] of batches.entries())
    await sql.begin(async (tx) => {
      const idOf = (place: unknown) => index * BATCH + Number(place) + 1;
      const copy = async (table: string, types: Record<string, string>, rows: Row[]) => {
        const names = Object.keys(types);
        const lines = rows.map((row) => names.map((name) => fieldOf(textOf(row[name]))).join('\t'));
        const stream = await tx.unsafe(`copy ${table} (${names}) from stdin`).writable();
        await new Promise<void>((resolve, reject) => {
          stream
            .on('error', reject)
            .on('finish', resolve)
            .end(`${lines.join('\n')}\n`);
        });
      };
      const owned = meetings.map((row, of) => ({
        ...{ id: idOf(of), user_id: userId, meeting_source: 'calendly' },
        ...row,
      }));
      const withId = (row: Row) => ({ user_id: userId, meeting_id: idOf(row.of), ...row });
      await copy('meetings', { id: 'bigint', ...TABLES.meetings }, owned);
      await copy('calendly_events', TABLES.events, events.map(withId));
      await copy('meeting_invitees', TABLES.invitees, invitees.map(withId));
    });
}

function textOf(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  return typeof value === 'object' ? stringifyExact(value) : String(value);
}

/** A field in the text format of COPY. */
function fieldOf(text: string | null): string {
  const escapes: Record<string, string> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };
  return text?.replace(/[\\\t\n\r]/g, (char) => escapes[char] ?? char) ?? '\\N';
}

function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}

function rounded(value: number, digits: 1 | 100): number {
  return Math.round(value * digits) / digits;
}
