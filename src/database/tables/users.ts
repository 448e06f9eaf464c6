/**
 * SQL of `users`, which usually belongs to another application: only its id is required, and its e-mail is used if
 * there is one. Ids are text here, whatever the type of the column.
 */
import { CalendlySyncError } from '../../errors.js';
import type { Sql } from '../connection.js';
import { errorCode } from '../errors.js';

/** A row of `users`. */
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
 * Creates a `users` row for a Calendly user, with e-mail and name where the table has these columns.
 * @throws CalendlySyncError `user_unknown` with the reason why the table refuses the row
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
        'The database did not keep the new row in users; a trigger may discard it.',
        { hint },
      );
    return row;
  } catch (error) {
    throw insertError(error, email);
  }
}

const hint = 'Insert the row yourself and pass it: calendly-sync sync --user ID-OR-EMAIL';

function insertError(error: unknown, email: string | null): unknown {
  const code = errorCode(error);
  if (code === null || error instanceof CalendlySyncError) return error;
  const { column_name: column, constraint_name: constraint } = error as Record<string, string | undefined>;
  const reasons: Record<string, string> = {
    '23502': `column "${column}" needs a value that only its application knows`,
    '23514': `the check constraint "${constraint}" refuses it`,
    '23505': `the constraint "${constraint}" allows only one such row`,
    '23503': `the constraint "${constraint}" needs a row in another table`,
    '42501': 'the database role may not insert',
    '428C9': `column "${column ?? 'id'}" cannot be written`,
  };
  const reason = reasons[code];
  if (reason === undefined) return error;
  return new CalendlySyncError(
    'user_unknown',
    `No row in users belongs to ${email ?? 'this token'}, and none can be created: ${reason}.`,
    { hint, cause: error },
  );
}

/** Whether the initial sync of a user is complete. Only where migration 022 is applied. */
export async function isInitialSyncComplete(sql: Sql, userId: string): Promise<boolean> {
  const [row] = await sql<{ complete: boolean | null }[]>`
    select calendly_initial_sync_complete as complete from users where id = ${userId}`;
  return row?.complete === true;
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
