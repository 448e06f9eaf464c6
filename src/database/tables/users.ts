/**
 * SQL of `users`, which usually belongs to another application: all that is asked of it is an id, and an e-mail if there is one.
 * Ids travel as text, whatever their type.
 */
import { CalendlySyncError } from '../../errors.js';
import type { Sql } from '../connection.js';
import { errorCode } from '../errors.js';

/** A row of `users`. `id` is a JSON number where the column is an integer that one can hold, else text. */
export interface User {
  id: string;
  email: string | null;
}

/** The columns that `users` has. */
async function userColumns(sql: Sql): Promise<Set<string>> {
  const rows = await sql<{ name: string }[]>`
    select attname::text as name from pg_attribute
    where attrelid = to_regclass('users') and attnum > 0 and not attisdropped`;
  return new Set(rows.map(({ name }) => name));
}

/** Users with this id or e-mail (any case); more than one where e-mails are not unique. */
export async function findUsers(sql: Sql, idOrEmail: string): Promise<User[]> {
  const hasEmail = (await userColumns(sql)).has('email');
  return hasEmail
    ? sql<User[]>`
        select id::text as id, email::text as email from users
        where id::text = ${idOrEmail} or lower(email::text) = lower(${idOrEmail})
        order by (id::text = ${idOrEmail}) desc, id limit 3`
    : sql<User[]>`select id::text as id, null as email from users where id::text = ${idOrEmail} limit 3`;
}

/**
 * Makes a `users` row for a Calendly user, with whichever of e-mail and name the table has.
 * @throws CalendlySyncError `user_unknown` naming the column that stands in the way
 */
export async function insertUser(sql: Sql, email: string | null, name: string | null): Promise<User> {
  const columns = await userColumns(sql);
  const values = Object.fromEntries(
    Object.entries({ email, name }).filter(([column, value]) => columns.has(column) && value !== null),
  ) as Record<string, string>;
  try {
    const [row] = await sql.savepoint((inner) =>
      Object.keys(values).length > 0
        ? inner<User[]>`insert into users ${inner(values)} returning id::text as id, ${email}::text as email`
        : inner<User[]>`insert into users default values returning id::text as id, ${email}::text as email`,
    );
    if (!row)
      throw new CalendlySyncError(
        'user_unknown',
        'The database kept no row in users; a trigger may drop it.',
        { hint },
      );
    return row;
  } catch (thrown) {
    throw insertFailure(thrown, email);
  }
}

const hint = 'Make the row yourself and name it: calendly-sync sync --user ID-OR-EMAIL';

function insertFailure(thrown: unknown, email: string | null): unknown {
  const code = errorCode(thrown);
  if (code === null || thrown instanceof CalendlySyncError) return thrown;
  const { column_name: column, constraint_name: constraint } = thrown as Record<string, string | undefined>;
  const reasons: Record<string, string> = {
    '23502': `column "${column}" wants a value that only its application knows`,
    '23514': `the check "${constraint}" refuses it`,
    '23505': `the constraint "${constraint}" allows only one such row`,
    '23503': `the constraint "${constraint}" wants a row elsewhere`,
    '42501': 'the database role may not insert',
    '428C9': `column "${column ?? 'id'}" cannot be written`,
  };
  const reason = reasons[code];
  if (reason === undefined) return thrown;
  return new CalendlySyncError(
    'user_unknown',
    `No row in users belongs to ${email ?? 'this token'}, and none can be made: ${reason}.`,
    {
      hint,
      cause: thrown,
    },
  );
}

/** Whether the initial sync of a user is complete. Only where migration 022 is applied. */
export async function isInitialSyncComplete(sql: Sql, userId: string): Promise<boolean> {
  const [row] = await sql<{ complete: boolean | null }[]>`
    select calendly_initial_sync_complete as complete from users where id = ${userId}`;
  return row?.complete === true;
}

/** Makes the next sync of these users a full one. */
export async function clearInitialSync(sql: Sql, userIds: string[]): Promise<void> {
  await sql`update users set calendly_initial_sync_complete = false where id = any(${userIds})`;
}

/**
 * Records a complete run. Belongs into the transaction that ends the run's own row.
 * @param full the run was a full one; an incremental one leaves a mark alone that `force-full` set in the meantime
 */
export async function recordSync(sql: Sql, userId: string, full: boolean): Promise<void> {
  await sql`
    update users
    set last_calendly_sync = now(), calendly_initial_sync_complete = (${full} or calendly_initial_sync_complete)
    where id = ${userId}`;
}

/** Sets `calendly_webhook_enabled` of every user to whether a subscription reports their bookings. */
export async function refreshWebhookEnabled(sql: Sql): Promise<void> {
  await sql`
    update users u set calendly_webhook_enabled = covered.enabled
    from (
      select a.user_id, exists (
        select from calendly_accounts s
        where s.webhook_subscription_uri is not null
          and (s.id = a.id or (s.webhook_scope = 'organization' and s.organization_uri = a.organization_uri))
      ) as enabled
      from calendly_accounts a
    ) covered
    where u.id = covered.user_id and u.calendly_webhook_enabled is distinct from covered.enabled`;
}
