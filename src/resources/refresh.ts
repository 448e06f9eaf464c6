/**
 * Reads Calendly's resources beside meetings: lists each, compares it with its table and writes what differs. A row is
 * only counted as absent after a complete listing. What Calendly refuses becomes a note, never an error. Knows no plan.
 */
import type { CalendlyClient } from '../calendly/client.js';
import { isAccessLost, statusOf } from '../calendly/errors.js';
import type { Sql } from '../database/connection.js';
import { findErased } from '../database/tables/erasures.js';
import {
  addUnlistedTypes,
  deleteResources,
  findTypesToAsk,
  hasResources,
  markAbsent,
  markAsked,
  type ResourceState,
  readResourceStates,
  type Source,
  saveResourceState,
  writeResources,
} from '../database/tables/resources.js';
import { CalendlySyncError } from '../errors.js';
import { contacts } from './contacts.js';
import { eventTypes } from './event-types.js';
import { addressesIn } from './meetings/forget.js';
import { groups, members } from './members.js';
import type { ResourceName } from './names.js';
import { asResource, forgetInResource, type ResourceTable, rowOf } from './resource-table.js';
import { routingForms, routingSubmissions } from './routing-forms.js';

/** What reading the resources of one account needs. */
export interface RefreshContext {
  client: CalendlyClient;
  userId: string;
  /** The Calendly user. */
  calendlyUri: string;
  source: Source;
  signal: AbortSignal;
  /** The database's time as canonical text, or a little before. */
  databaseNow(): string;
  /** Runs a transaction. */
  write<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
}

/** What reading one resource did. */
export interface ResourceResult {
  name: ResourceName;
  new: number;
  updated: number;
  /** Rows that a complete listing lacked. */
  removed: number;
  /** Why it could not be read, or not to the end; null: it was. */
  note: string | null;
}

/** What a run read of them. */
export interface ResourcesResult {
  /** Requests for them; part of the run's. */
  requests: number;
  read: ResourceResult[];
}

/** A cursor would never find what was deleted: so often, a listing is read to its end. */
const COMPLETE_EVERY_MS = 7 * 86_400_000;
/** The earliest next time, if it is read hourly. A run that is a little early counts. */
const AGAIN_S = { read: 55 * 60, refused: 23 * 3_600 };
/** Requests for single event types. */
const ASKED_PER_DAY = 2;

/**
 * Reads resources one after the other.
 * @param onlyDue leaves out what was read less than an hour ago, or refused less than a day ago
 * @throws CalendlySyncError `database_*`, `locked`; the signal's reason
 */
export async function refreshResources(
  context: RefreshContext,
  names: readonly ResourceName[],
  onlyDue = false,
): Promise<ResourceResult[]> {
  const { accountId } = context.source;
  const states = await context.write(async (sql) =>
    (await hasResources(sql)) ? readResourceStates(sql, accountId) : null,
  );
  const results: ResourceResult[] = [];
  if (states === null) return results;
  for (const name of names) {
    const state = states.get(name) ?? null;
    if (onlyDue && state?.isDue === false) continue;
    results.push(await refreshOne(context, name, state));
  }
  return results;
}

async function refreshOne(
  context: RefreshContext,
  name: ResourceName,
  state: ResourceState | null,
): Promise<ResourceResult> {
  const result: ResourceResult = { name, new: 0, updated: 0, removed: 0, note: null };
  const isDue = !state?.completeAt || Date.now() - state.completeAt.getTime() > COMPLETE_EVERY_MS;
  const reading = {
    context,
    result,
    cursors: { ...state?.cursors },
    mustBeComplete: isDue,
    isComplete: true,
  };
  let againInS = AGAIN_S.read;
  try {
    await READERS[name](reading);
  } catch (error) {
    const isOfCalendly = error instanceof CalendlySyncError && error.code.startsWith('calendly_');
    if (context.signal.aborted || !isOfCalendly) throw error;
    result.note = error.message;
    againInS = error.code === 'calendly_unreachable' ? 0 : AGAIN_S.refused;
    reading.isComplete = false;
  }
  const { cursors, isComplete } = reading;
  await context.write((sql) =>
    saveResourceState(sql, context.source.accountId, {
      resource: name,
      cursors,
      isComplete,
      note: result.note,
      againInS,
    }),
  );
  return result;
}

/** One resource being read. */
interface Reading {
  context: RefreshContext;
  result: ResourceResult;
  /** The newest row of each listing that was read as far as needed. */
  cursors: Record<string, string>;
  mustBeComplete: boolean;
  isComplete: boolean;
}

const READERS: Readonly<Record<ResourceName, (reading: Reading) => Promise<unknown>>> = {
  'event-types': readEventTypes,
  members: (reading) => listOfOrganization(reading, members, '/organization_memberships'),
  groups: (reading) => listOfOrganization(reading, groups, '/groups'),
  async 'routing-forms'(reading) {
    for (const form of await listOfOrganization(reading, routingForms, '/routing_forms')) {
      const query = { form, sort: 'created_at:desc' };
      await list(reading, { table: routingSubmissions, path: '/routing_form_submissions', query, key: form });
    }
  },
  contacts(reading) {
    const { calendlyUri: key, source } = reading.context;
    const of = { account_id: source.accountId };
    return list(reading, {
      table: contacts,
      path: '/contacts',
      query: { sort: 'updated_at:desc' },
      key,
      of,
    });
  },
};

async function readEventTypes(reading: Reading): Promise<void> {
  const { client, userId, calendlyUri, source, write } = reading.context;
  const listing = { table: eventTypes, path: '/event_types' };
  const sort = 'updated_at:desc';
  const { organizationUri: organization, accountId } = source;
  try {
    if (organization === null) await listOwn();
    else
      await list(reading, {
        ...listing,
        query: { organization, sort },
        key: organization,
        of: { organization_uri: organization },
      });
  } catch (error) {
    // Only owners and admins may list those of everybody.
    if (organization === null || !isAccessLost(error)) throw error;
    await listOwn();
  }
  reading.result.new += await write((sql) => addUnlistedTypes(sql, userId, source));
  for (const uri of await write((sql) => findTypesToAsk(sql, userId, accountId, ASKED_PER_DAY))) {
    const isGone = await client.resource(uri, asResource).then(
      (raw) =>
        write(async (sql) => {
          await writeResources(sql, eventTypes, [{ ...rowOf(eventTypes, raw), unlisted: true }], source);
          return false;
        }),
      (error: unknown) => {
        if (statusOf(error) === 404) return true;
        if (isAccessLost(error)) return false;
        throw error;
      },
    );
    await write((sql) => markAsked(sql, uri, isGone));
  }

  function listOwn() {
    const query = { user: calendlyUri, sort };
    return list(reading, { ...listing, query, key: calendlyUri, of: { account_id: accountId } });
  }
}

function listOfOrganization(reading: Reading, table: ResourceTable, path: string): Promise<string[]> {
  const organization = reading.context.source.organizationUri;
  if (organization === null)
    throw new CalendlySyncError('calendly_not_found', 'This Calendly user belongs to no organization.');
  const of = { organization_uri: organization };
  return list(reading, { table, path, query: { organization }, key: organization, of });
}

interface Listing {
  table: ResourceTable;
  path: string;
  /** With a `sort`, newest first, the listing ends at what is known. */
  query: Record<string, string>;
  /** Names the listing in `cursors`. */
  key: string;
  /** Whose rows it has all of. */
  of?: { organization_uri: string } | { account_id: string };
}

/** Reads a listing and writes its pages. @returns the URIs of what it has */
async function list(reading: Reading, { table, path, query, key, of }: Listing): Promise<string[]> {
  const { context, result, cursors, mustBeComplete } = reading;
  const sort = query.sort?.split(':')[0];
  const begun = context.databaseNow();
  const known = sort && !(mustBeComplete && table.absence) ? cursors[key] : undefined;
  const uris: string[] = [];
  let newest = cursors[key] ?? '';
  let isComplete = true;
  for await (const page of context.client.list(path, () => query, asResource)) {
    const rows = page.rows.map((raw) => ({ raw, stamp: sort ? String(rowOf(table, raw)[sort] ?? '') : '' }));
    uris.push(...page.rows.map(({ uri }) => uri));
    const written = await context.write((sql) => writePage(sql, table, page.rows, context.source));
    result.new += written.new;
    result.updated += written.updated;
    if (page.unreadable > 0) isComplete = false;
    for (const { stamp } of rows) if (stamp > newest) newest = stamp;
    const last = rows.at(-1);
    if (known !== undefined && !page.last && last && last.stamp <= known) {
      isComplete = false;
      break;
    }
  }
  if (newest !== '') cursors[key] = newest;
  const { absence } = table;
  if (isComplete && absence && of)
    result.removed += await context.write((sql) =>
      markAbsent(sql, table.table, absence, { of, uris, begun }),
    );
  if (absence && !isComplete) reading.isComplete = false;
  return uris;
}

async function writePage(
  sql: Sql,
  table: ResourceTable,
  raws: readonly (Record<string, unknown> & { uri: string })[],
  source: Source,
): Promise<{ new: number; updated: number }> {
  const erased = await findErased(sql, [...addressesIn(raws)]);
  const kept = raws.flatMap((raw) => forgetInResource(table, raw, erased) ?? []);
  if (kept.length < raws.length) {
    const left = new Set(kept.map(({ uri }) => uri));
    await deleteResources(
      sql,
      table.table,
      raws.map(({ uri }) => uri).filter((uri) => !left.has(uri)),
    );
  }
  const rows = kept.map((raw) => rowOf(table, raw));
  // Without absence, rows never change.
  return writeResources(sql, table, rows, source, table.absence !== null);
}
