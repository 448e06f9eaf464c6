/** Rules that a host's tables may have. Each either accepts our rows or refuses them, and none may be found out too late. */

export interface HostKind {
  rule: string;
  /** Applied to `users (id integer, email text)` and `meetings (id serial, user_id integer, title text)`. */
  sql: string;
  /** A complete row of ours and one with only what Calendly always gives are both accepted. */
  accepts: boolean;
}

const onInsert = (body: string) => `
  create function host_rule() returns trigger language plpgsql as $$ begin ${body} end $$;
  create trigger host_rule before insert on meetings for each row execute function host_rule();`;
const column = (definition: string) => `alter table meetings add column ${definition}`;

export const HOST_KINDS: HostKind[] = [
  { rule: 'no rule at all', sql: 'select', accepts: true },
  { rule: 'title not null', sql: 'alter table meetings alter title set not null', accepts: true },
  { rule: 'title varchar(500)', sql: 'alter table meetings alter title type varchar(500)', accepts: true },
  { rule: 'title varchar(5)', sql: 'alter table meetings alter title type varchar(5)', accepts: false },
  { rule: 'title char(3)', sql: 'alter table meetings alter title type char(3)', accepts: false },
  { rule: 'user_id not null', sql: 'alter table meetings alter user_id set not null', accepts: true },
  { rule: 'user_id text', sql: 'alter table meetings alter user_id type text', accepts: true },
  {
    rule: 'user_id with a foreign key',
    sql: 'alter table meetings add foreign key (user_id) references users (id)',
    accepts: true,
  },
  { rule: 'userid text not null', sql: column('userid text not null'), accepts: true },
  { rule: 'userid integer not null', sql: column('userid integer not null'), accepts: true },
  { rule: 'starttime not null', sql: column('starttime timestamptz not null'), accepts: true },
  { rule: 'starttime without a time zone', sql: column('starttime timestamp not null'), accepts: true },
  { rule: 'googleeventid not null unique', sql: column('googleeventid text not null unique'), accepts: true },
  { rule: 'a required column without a default', sql: column('room text not null'), accepts: false },
  {
    rule: 'a required column with a default',
    sql: column("room text not null default 'none'"),
    accepts: true,
  },
  {
    rule: 'camelCase columns that are required',
    sql: column('"startTime" timestamptz not null'),
    accepts: false,
  },
  {
    rule: 'status that knows active and canceled',
    sql: column("status text check (status in ('active', 'canceled'))"),
    accepts: true,
  },
  {
    rule: 'status that knows other words',
    sql: column("status text check (status in ('booked', 'done'))"),
    accepts: false,
  },
  {
    rule: 'status as an enum of other words',
    sql: `create type state as enum ('booked'); ${column('status state')}`,
    accepts: false,
  },
  {
    rule: 'status not null with a default',
    sql: column("status text not null default 'scheduled'"),
    accepts: true,
  },
  {
    rule: 'meeting_source that knows calendly',
    sql: column("meeting_source text check (meeting_source in ('google', 'calendly'))"),
    accepts: true,
  },
  {
    rule: 'meeting_source that does not',
    sql: column("meeting_source text check (meeting_source in ('google'))"),
    accepts: false,
  },
  { rule: 'external_id varchar(20)', sql: column('external_id varchar(20)'), accepts: false },
  { rule: 'external_id uuid', sql: column('external_id uuid'), accepts: false },
  { rule: 'location text', sql: column('location text'), accepts: true },
  { rule: 'raw text', sql: column('raw text'), accepts: true },
  {
    rule: 'start_time generated',
    sql: column("start_time timestamptz generated always as ('2026-01-01 00:00+00'::timestamptz) stored"),
    accepts: false,
  },
  { rule: 'start_time integer', sql: column('start_time integer'), accepts: false },
  { rule: 'is_deleted integer', sql: column('is_deleted integer'), accepts: false },
  { rule: 'is_deleted not null', sql: column('is_deleted boolean not null default false'), accepts: true },
  {
    rule: 'a domain that may not be null',
    sql: `create domain words as text not null; ${column("join_url words default 'none'")}`,
    accepts: false,
  },
  {
    rule: 'a domain with a check',
    sql: `create domain url as text check (value like 'http%'); ${column('join_url url')}`,
    accepts: true,
  },
  {
    rule: 'a trigger that raises an error',
    sql: onInsert(`raise exception 'only the application inserts here';`),
    accepts: false,
  },
  { rule: 'a trigger that drops the row', sql: onInsert('return null;'), accepts: false },
  {
    rule: 'a trigger that changes the row',
    sql: onInsert('new.title := upper(new.title); return new;'),
    accepts: true,
  },
  {
    rule: 'a check across columns',
    sql: 'alter table meetings add check (title is not null or user_id is null)',
    accepts: false,
  },
  {
    rule: 'an exclusion of two meetings at one time',
    sql: `${column('start_time timestamptz')}; alter table meetings add exclude (start_time with =)`,
    accepts: true,
  },
  { rule: 'a child table that inherits', sql: 'create table archive () inherits (meetings)', accepts: true },
  { rule: 'row-level security', sql: 'alter table meetings enable row level security', accepts: true },
];
