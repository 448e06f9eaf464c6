/**
 * What an operator should know of the host's tables, though it stops nothing: who reads them, who copies them, who
 * would drop ours.
 */
import type { Database, Sql } from '../../database/connection.js';
import { API_ROLES } from './catalog.js';

/** One warning, with the next step. */
export interface HostWarning {
  code: 'meetings_open' | 'published' | 'orm_tables';
  message: string;
  hint: string;
}

const ORM: Readonly<Record<string, string>> = {
  __drizzle_migrations: 'drizzle-kit push drops tables that it does not know: exclude ours with tablesFilter',
  _prisma_migrations:
    'prisma migrate dev offers to reset a database with tables that it does not know: use prisma migrate deploy',
  typeorm_metadata: 'TypeORM drops what it does not know if synchronize is true: set it to false',
};

/**
 * Reads the warnings for this database. Reads the catalogs only.
 * @returns none where there is no `meetings`
 */
export function readHostWarnings(database: Database): Promise<HostWarning[]> {
  return database.transaction(findWarnings, { readOnly: true });
}

async function findWarnings(sql: Sql): Promise<HostWarning[]> {
  const [row] = await sql<
    { meetings: string | null; roles: string | null; publications: string[]; orm: string[] }[]
  >`
    select to_regclass('meetings')::text as meetings, (
        select string_agg(distinct case grantee when 0 then 'PUBLIC' else grantee::regrole::text end, ', ')
        from pg_class, aclexplode(relacl)
        where pg_class.oid = to_regclass('meetings') and privilege_type = 'SELECT'
          and (grantee = 0 or grantee::regrole::text in (select json_array_elements_text(${JSON.stringify(API_ROLES)}::text::json)))
          and (not relrowsecurity or exists (
            select from pg_policy where polrelid = pg_class.oid and polpermissive and polcmd in ('*', 'r')
              and pg_get_expr(polqual, polrelid) = 'true' and (0 = any (polroles) or grantee = any (polroles))))
      ) as roles,
      array(
        select distinct pubname::text from pg_publication_tables
        where format('%I.%I', schemaname, tablename)::regclass in (to_regclass('users'), to_regclass('meetings'))
          and not (select puballtables from pg_publication where pg_publication.pubname = pg_publication_tables.pubname)
      ) as publications,
      array(
        select distinct relname::text from pg_class
        where relkind = 'r' and relname in (select json_array_elements_text(${JSON.stringify(Object.keys(ORM))}::text::json))
      ) as orm`;
  if (!row?.meetings) return [];
  const { meetings, roles, publications, orm } = row;
  const open: HostWarning = {
    code: 'meetings_open',
    message: `${roles} can read ${meetings}: names, e-mails and join links of every guest.`,
    hint: `Run: revoke all on ${meetings} from ${roles}; or: alter table ${meetings} enable row level security;`,
  };
  return [
    ...(roles === null ? [] : [open]),
    ...publications.map(
      (name): HostWarning => ({
        code: 'published',
        message: `Publication ${name} copies users or meetings: its subscribers stop until they have the same columns.`,
        hint: 'Add the columns of calendly-sync on each subscriber before migrating (calendly-sync migrate --dry-run).',
      }),
    ),
    ...orm.map(
      (name): HostWarning => ({
        code: 'orm_tables',
        message: `The table ${name} shows that an ORM manages this database.`,
        hint: `${ORM[name]}; or keep ours apart: calendly-sync migrate --own-tables`,
      }),
    ),
  ];
}
