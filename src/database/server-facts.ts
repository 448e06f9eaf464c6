/** What the server says of itself, of our connection and of the rights of our role. Reads catalogs only. */
import type { Sql } from './connection.js';

export interface ServerFacts {
  version: string;
  /** As in `server_version_num`: 180001. */
  versionNumber: number;
  role: string;
  /** `TLSv1.3`; null without TLS. Behind a pooler it is that of the pooler's connection. */
  tls: string | null;
  /** The connection does not leave this machine, as far as the server sees. */
  isLocal: boolean;
  isStandby: boolean;
  /** Our tables, and those of them that the role may not read and write, or of which it sees a part of the rows only. */
  tables: string[];
  closed: string[];
  /** Its owner can grant the missing rights. */
  owner: string | null;
  now: Date;
}

/** Reads them in one query. Works without our tables. */
export async function readServerFacts(sql: Sql): Promise<ServerFacts> {
  const [facts] = await sql<[ServerFacts]>`
    with own as (
      select relname, relowner,
        not (has_table_privilege(oid, 'select') and has_table_privilege(oid, 'insert')
          and has_table_privilege(oid, 'update') and has_table_privilege(oid, 'delete'))
        or row_security_active(oid) as closed
      from pg_class
      where relkind in ('r', 'p') and (
        oid in (to_regclass('users'), to_regclass('meetings'))
        or (relnamespace = (select relnamespace from pg_class where oid = to_regclass('calendly_accounts'))
          and (relname like 'calendly\\_%' or relname = 'meeting_invitees')))
    )
    select current_setting('server_version') as version, current_setting('server_version_num')::int as "versionNumber",
      current_user::text as role, (select s.version from pg_stat_ssl s where pid = pg_backend_pid() and ssl) as tls,
      inet_client_addr() is null or inet_client_addr() <<= '127.0.0.0/8' or inet_client_addr() = '::1' as "isLocal",
      pg_is_in_recovery() as "isStandby", clock_timestamp() as now,
      array(select relname::text from own order by 1) as tables,
      array(select relname::text from own where closed order by 1) as closed,
      (select pg_get_userbyid(relowner)::text from own where closed limit 1) as owner`;
  return facts;
}
