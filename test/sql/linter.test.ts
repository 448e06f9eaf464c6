/**
 * What the linter of a hosted database (Supabase's splinter) would report about a fresh install, with the roles of its
 * API and its default grants. Each query lists findings in `public`; unused_index is left out, because new indexes are.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openServer } from '../../src/database/connection.js';
import { migrate } from '../../src/migrations/migrate.js';
import { testDatabase } from '../support/database.js';
import { createApiRoles } from '../support/hosts.js';

const { url, sql } = await testDatabase('empty');
const database = openServer(url);

beforeAll(async () => {
  await createApiRoles(sql);
  await sql.unsafe(`create schema auth; create table auth.users (id uuid primary key, email text)`);
  await migrate(database);
});
afterAll(() => database.close());

/** Everything in `public` that no extension owns. */
const RELATIONS = `
  with relations as (
    select c.* from pg_class c
    where relnamespace = 'public'::regnamespace and not exists (select from pg_depend where objid = c.oid and deptype = 'e')
  )`;
const OPEN = `(has_table_privilege('anon', r.oid, 'select') or has_table_privilege('authenticated', r.oid, 'select'))`;

const LINTS = {
  unindexed_foreign_keys: `
    select r.relname, f.conname from relations r join pg_constraint f on conrelid = r.oid and contype = 'f'
    where not exists (
      select from pg_index where indrelid = r.oid and indisvalid
        and (string_to_array(indkey::text, ' ')::smallint[])[1:cardinality(conkey)] = conkey)`,
  auth_users_exposed: `
    select distinct r.relname from relations r join pg_rewrite on ev_class = r.oid
    join pg_depend d on d.objid = pg_rewrite.oid and d.refobjid = 'auth.users'::regclass
    where relkind in ('v', 'm') and ${OPEN}`,
  no_primary_key: `
    select relname from relations r
    where relkind = 'r' and not exists (select from pg_index where indrelid = r.oid and indisprimary)`,
  multiple_permissive_policies: `
    select r.relname, rolname, action, array_agg(polname) from relations r join pg_policy on polrelid = r.oid
    join pg_roles on pg_roles.oid = any (polroles) or 0 = any (polroles)
    cross join unnest(case polcmd when '*' then array['r', 'a', 'w', 'd'] else array[polcmd::text] end) as action
    where relkind = 'r' and polpermissive and rolname !~ '^pg_' and not rolbypassrls and not rolsuper
    group by 1, 2, 3 having count(*) > 1`,
  policy_exists_rls_disabled: `
    select distinct relname from relations r join pg_policy on polrelid = r.oid where not relrowsecurity`,
  rls_enabled_no_policy: `
    select relname from relations r
    where relkind = 'r' and relrowsecurity and not exists (select from pg_policy where polrelid = r.oid)`,
  duplicate_index: `
    select r.relname, array_agg(indexrelid::regclass) from relations r join pg_index on indrelid = r.oid
    group by r.relname, indkey::text, indclass::text, coalesce(indpred::text, ''), coalesce(indexprs::text, '') having count(*) > 1`,
  security_definer_view: `
    select relname from relations r where relkind = 'v' and ${OPEN}
      and not coalesce(reloptions::text, '') ~ 'security_invoker=(true|on|1|yes)'`,
  function_search_path_mutable: `
    select proname from pg_proc p
    where pronamespace = 'public'::regnamespace and not exists (select from pg_depend where objid = p.oid and deptype = 'e')
      and not coalesce(proconfig::text, '') like '%search_path=%'`,
  rls_disabled_in_public: `select relname from relations r where relkind = 'r' and not relrowsecurity and ${OPEN}`,
  extension_in_public: `select extname from pg_extension where extnamespace = 'public'::regnamespace`,
  materialized_view_in_api: `select relname from relations r where relkind = 'm' and ${OPEN}`,
  foreign_table_in_api: `select relname from relations r where relkind = 'f' and ${OPEN}`,
  policy_always_true: `
    select relname, polname from relations r join pg_policy on polrelid = r.oid
    where polpermissive and polcmd <> 'r' and 'true' in (pg_get_expr(polqual, r.oid), pg_get_expr(polwithcheck, r.oid))
      and (0 = any (polroles) or 'anon'::regrole = any (polroles) or 'authenticated'::regrole = any (polroles))`,
  api_table_exposed: `select relname from relations r where relkind in ('r', 'v', 'p') and ${OPEN}`,
  security_definer_function_executable: `
    select proname from pg_proc p where pronamespace = 'public'::regnamespace and prosecdef
      and (has_function_privilege('anon', oid, 'execute') or has_function_privilege('authenticated', oid, 'execute'))`,
};

test.each(Object.entries(LINTS))(
  'the linter of a hosted database finds nothing on a fresh install: %s',
  async (_name, query) => {
    expect([...(await sql.unsafe(`${RELATIONS} ${query}`))]).toEqual([]);
  },
);

test('each lint finds what it is about, so that an empty answer means something', async () => {
  await sql.unsafe(`
    create table public.bad (id integer, parent integer references users, unique (id));
    create index on public.bad (id); create index on public.bad (id);
    grant all on public.bad to anon;
    create table public.worse (id integer primary key);
    grant all on public.worse to anon; alter table public.worse enable row level security;
    create policy a on public.worse using (true); create policy b on public.worse using (true);
    create table public.closed (id integer primary key); alter table public.closed enable row level security;
    create policy c on public.bad using (false);
    create view public.people as select * from auth.users; grant select on public.people to anon;
    create materialized view public.stored as select 1 as one; grant select on public.stored to anon;
    create function public.loose() returns integer language sql security definer as 'select 1'`);
  const silent = [];
  for (const [name, query] of Object.entries(LINTS))
    if ((await sql.unsafe(`${RELATIONS} ${query}`)).length === 0) silent.push(name);
  // A server of the tests has neither an extension in public nor a foreign table.
  expect(silent).toEqual(['extension_in_public', 'foreign_table_in_api']);
});
