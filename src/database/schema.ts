/** Checks that the database has the tables that the tool needs. One query; knows no migration file. */
import type { ISql } from 'postgres';
import { CalendlySyncError } from '../errors.js';
import type { Sql } from './connection.js';

/** What the schema has beyond the tables that everything needs. */
export interface SchemaState {
  /** Migration 022 is in place: sync state on `users`, webhook events, the health view. */
  hasSyncState: boolean;
}

/** The columns `missing` (tables that everything needs) and `hasSyncState`. */
export function schemaState(sql: ISql) {
  return sql`
    array(
      select needed from unnest(array['users', 'meetings', 'meeting_invitees', 'calendly_accounts',
        'calendly_leases', 'calendly_sync_runs', 'calendly_events', 'calendly_pending_events',
        'calendly_erasures']) as needed
      where to_regclass(needed) is null
    ) as missing,
    (
      select count(*) = 3 from pg_attribute
      where attrelid = to_regclass('users') and not attisdropped
        and attname in ('last_calendly_sync', 'calendly_initial_sync_complete', 'calendly_webhook_enabled')
    ) and (
      select count(*) = 1 from pg_attribute
      where attrelid = to_regclass('meetings') and not attisdropped and attname = 'synced_via_webhook'
    ) and exists (
      -- Without this column the table is the application's own.
      select from pg_attribute
      where attrelid = to_regclass('calendly_webhook_events') and not attisdropped and attname = 'signature_verified'
    ) as "hasSyncState"`;
}

/**
 * Requires everything up to migration 022, and reports whether 022 is applied. Looks at the objects, not at the
 * history.
 * @throws CalendlySyncError `schema_not_ready`
 */
export async function requireSchema(sql: Sql): Promise<SchemaState> {
  const [found] = await sql<{ missing: string[]; hasSyncState: boolean }[]>`
    select ${schemaState(sql)}`;
  if (!found || found.missing.length > 0) {
    throw new CalendlySyncError(
      'schema_not_ready',
      `The database lacks ${found?.missing.join(', ') || 'the tables of calendly-sync'}.`,
      { hint: await hintFor(sql) },
    );
  }
  return { hasSyncState: found.hasSyncState };
}

/** Who migrated with `--schema` and omits it now should not create everything a second time. */
async function hintFor(sql: Sql): Promise<string> {
  const others = await sql<{ name: string }[]>`
    select nspname as name from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where relname = 'calendly_migrations' and obj_description(pg_class.oid, 'pg_class') like 'calendly-sync%'
      and to_regclass('calendly_migrations') is null
    order by 1`;
  if (others.length === 0) return 'Run: calendly-sync migrate';
  const names = others.map(({ name }) => name).join(', ');
  return `Its tables are in schema ${names}: name it with --schema or CALENDLY_SYNC_SCHEMA.`;
}

/**
 * Requires migration 022 too, which webhooks need.
 * @throws CalendlySyncError `schema_not_ready`
 */
export async function requireWebhookSchema(sql: Sql): Promise<void> {
  const { hasSyncState } = await requireSchema(sql);
  if (hasSyncState) return;
  throw new CalendlySyncError(
    'schema_not_ready',
    'Migration 022 is not applied: there is no table for webhook deliveries.',
    { hint: 'Run: calendly-sync migrate' },
  );
}
