-- 005: views of what the synced rows say about people: one row per host, guest and answer, calendly_bookings with the
-- one definition of what became of a booking, and the reports on it. Settings change what a report shows; set them in
-- a session, or with SET LOCAL in a transaction:
--   calendly_sync.timezone  days and weeks of this time zone; else that of the meeting's host
--   calendly_sync.axis      'meeting' (default): a booking counts when it takes place; 'booked': when it was made
--   calendly_sync.since, calendly_sync.until  bookings from this day or time on, and before that one, in that time zone
--   calendly_sync.by        a row for each 'host', 'type' or 'source', in the column segment
-- One statement: it is done as a whole or not at all, and can be run again.

do $calendly$
declare
  json text; canceled_at text;
begin
  perform set_config('lock_timeout', '1s', true) where current_setting('lock_timeout') = '0';

  -- Creates a view that shows its rows only to those who may read the tables, as 022 does. Before Postgres 15 a view
  -- has its owner's rights: there it asks for the owner, or for a role that `grant-read` named.
  create or replace function calendly_sync_view(name text, query text, mark text) returns void
  language plpgsql set search_path from current
  as $function$
  declare
    schema_name constant text := quote_ident(current_schema());
    grantees constant text := concat_ws(', ', 'public',
      (select string_agg(rolname, ', ') from pg_roles where rolname in ('anon', 'authenticated')));
  begin
    execute case when current_setting('server_version_num')::integer >= 150000
      then format('create or replace view %s.%I with (security_invoker = true) as %s', schema_name, name, query)
      else format($$create or replace view %s.%I as select * from (%s) as query where exists (
          select from pg_class left join pg_policy on polrelid = pg_class.oid and polname = 'calendly_sync_reader'
          cross join lateral unnest(relowner || polroles) as reader
          where pg_class.oid = '%1$s.calendly_events'::regclass and pg_has_role(current_user, reader, 'usage')
        )$$, schema_name, name, query)
    end;
    execute format('comment on view %s.%I is %L', schema_name, name, 'calendly-sync ' || mark);
    execute format('revoke all on table %s.%I from %s', schema_name, name, grantees);
  end
  $function$;
  comment on function calendly_sync_view is 'calendly-sync 005: creates a view that is closed to others';

  -- A time zone that this server does not know must not make a report fail.
  create or replace function calendly_sync_timezone(wanted text) returns text
  language plpgsql stable set search_path = ''
  as $function$
  begin
    perform now() at time zone wanted;
    return coalesce(wanted, 'UTC');
  exception when invalid_parameter_value then return 'UTC';
  end
  $function$;
  comment on function calendly_sync_timezone is 'calendly-sync 005: a time zone that this server knows, else UTC';
  execute format('revoke all on function calendly_sync_view, calendly_sync_timezone from %s', concat_ws(', ', 'public',
    (select string_agg(rolname, ', ') from pg_roles where rolname in ('anon', 'authenticated'))));

  -- An application's meetings may have columns with our names and other types. In a row without calendly_uri, which the
  -- sync has not written yet, raw is the application's, and need not be JSON.
  select case atttypid when 'jsonb'::regtype then 'm.raw'
    else '(case when m.calendly_uri is not null then m.raw::text::jsonb end)' end into strict json
  from pg_attribute where attrelid = to_regclass('meetings') and attname = 'raw';
  select case atttypid when 'timestamptz'::regtype then 'm.canceled_at' else 'null::timestamptz' end into canceled_at
  from pg_attribute where attrelid = to_regclass('meetings') and attname = 'canceled_at';

  perform calendly_sync_view('meeting_hosts', format($$
    select e.meeting_id, e.external_id, hosts.position, host ->> 'user' as calendly_user_uri, a.user_id,
      coalesce(host ->> 'user_email', a.email) as email, coalesce(host ->> 'user_name', a.name) as name,
      host ->> 'buffered_start_time' as buffered_start_time, host ->> 'buffered_end_time' as buffered_end_time
    from calendly_events e
    join meetings m on m.id = e.meeting_id
    cross join lateral jsonb_array_elements(
      case jsonb_typeof(%1$s -> 'event_memberships') when 'array' then %1$s -> 'event_memberships' else '[]' end
    ) with ordinality as hosts (host, position)
    left join calendly_accounts a on a.calendly_uri = host ->> 'user'
  $$, json), '005: one row per meeting and host, in Calendly''s order');

  perform calendly_sync_view('meeting_guests', format($$
    select e.meeting_id, e.external_id, guests.position, guest ->> 'email' as email,
      guest ->> 'created_at' as created_at, guest ->> 'updated_at' as updated_at
    from calendly_events e
    join meetings m on m.id = e.meeting_id
    cross join lateral jsonb_array_elements(
      case jsonb_typeof(%1$s -> 'event_guests') when 'array' then %1$s -> 'event_guests' else '[]' end
    ) with ordinality as guests (guest, position)
  $$, json), '005: one row per meeting and guest');

  perform calendly_sync_view('invitee_answers', $$
    select i.id as invitee_id, i.meeting_id, i.calendly_uri as invitee_uri, answers.position,
      answer ->> 'question' as question, answer ->> 'answer' as answer
    from meeting_invitees i
    cross join lateral jsonb_array_elements(
      case jsonb_typeof(i.questions_and_answers) when 'array' then i.questions_and_answers else '[]' end
    ) with ordinality as answers (answer, position)
  $$, '005: one row per invitee and answered question');

  -- A meeting that several users here share stands in meetings once for each; it counts once. The copy of a user who
  -- lost it to another host, or the right to see it, says nothing of what became of it.
  perform calendly_sync_view('calendly_bookings', format($$
    select
      case
        when i.rescheduled then 'rescheduled' -- the old half: neither canceled nor missed
        when i.status = 'canceled' or m.is_deleted::boolean then 'canceled'
        when i.no_show_at is not null then 'no_show'
        when e.start_time > now() then 'upcoming'
        when e.end_time > now() then 'running'
        else 'held' -- nobody said otherwise
      end as outcome,
      e.external_id, i.calendly_uri as invitee_uri, i.id as invitee_id, m.id as meeting_id,
      lower(btrim(i.email)) as email, i.name, i.phone, i.timezone as invitee_timezone,
      m.title::text as title, m.event_type_uri::text as event_type_uri, m.location_type::text as location_type,
      i.calendly_created_at as booked_at, e.start_time, e.end_time,
      coalesce(nullif(current_setting('calendly_sync.timezone', true), ''), z.timezone, 'UTC') as timezone,
      round(extract(epoch from e.start_time - i.calendly_created_at)::numeric / 3600, 2) as lead_hours,
      case when i.status = 'canceled' or m.is_deleted::boolean then
        round(extract(epoch from e.start_time - coalesce(i.canceled_at, %2$s))::numeric / 3600, 2)
      end as notice_hours,
      coalesce(i.canceled_at, %2$s) as canceled_at,
      coalesce(nullif(btrim(i.cancel_reason), ''), nullif(btrim(%1$s #>> '{cancellation,reason}'), '')) as cancel_reason,
      coalesce(i.canceler_type, %1$s #>> '{cancellation,canceler_type}') as canceled_by,
      coalesce(i.canceled_by, %1$s #>> '{cancellation,canceled_by}') as canceled_by_name,
      i.no_show_at,
      i.old_invitee_uri is not null as is_rebooking,
      -- The invitee that the first booking of a chain of rescheduled ones had.
      case when i.old_invitee_uri is null then i.calendly_uri else (
        with recursive chain (uri, length) as (
          select i.old_invitee_uri, 1
          union
          select o.old_invitee_uri, length + 1 from chain
          join meeting_invitees o on o.calendly_uri = uri and o.rescheduled and o.old_invitee_uri is not null
          where length < 100
        )
        select uri from chain order by length desc limit 1
      ) end as chain_uri,
      i.utm_source, i.utm_medium, i.utm_campaign, i.utm_content, i.utm_term, i.salesforce_uuid,
      i.scheduling_method, i.scheduled_by, i.routing_form_submission_uri,
      case when i.payment -> 'successful' = 'true' and i.payment ->> 'amount' ~ '^-?[0-9]+([.][0-9]+)?$'
        then (i.payment ->> 'amount')::numeric end as paid,
      i.payment ->> 'currency' as currency,
      coalesce(i.payment ->> 'external_id', i.payment ->> 'id') as payment_id,
      coalesce(shared.user_ids, array[e.user_id]) as user_ids,
      (
        select array_agg(coalesce(host ->> 'user_email', host ->> 'user_name', host ->> 'user') order by position)
        from jsonb_array_elements(case jsonb_typeof(%1$s -> 'event_memberships')
          when 'array' then %1$s -> 'event_memberships' else '[]' end) with ordinality as hosts (host, position)
      ) as hosts
    from calendly_events e
    join meetings m on m.id = e.meeting_id and (m.deleted_reason is null or m.deleted_reason in ('canceled', 'gone'))
    join meeting_invitees i on i.meeting_id = e.meeting_id
    left join (
      select s.external_id, array_agg(s.user_id order by s.user_id) as user_ids,
        (array_agg(s.meeting_id order by o.is_deleted::boolean is true, s.written_at desc, s.meeting_id))[1] as meeting_id
      from calendly_events s
      join meetings o on o.id = s.meeting_id
      where s.external_id in (select external_id from calendly_events group by 1 having count(*) > 1)
        and (o.deleted_reason is null or o.deleted_reason in ('canceled', 'gone'))
      group by 1
    ) as shared on shared.external_id = e.external_id
    left join (
      select user_id, calendly_sync_timezone(timezone) as timezone from calendly_accounts offset 0
    ) as z on z.user_id = e.user_id
    where coalesce(shared.meeting_id = e.meeting_id, true) -- the planner expects half of the rows, not few
  $$, json, canceled_at), '005: one row per person and booking, each meeting once');
  create index if not exists meeting_invitees_rescheduled_idx on meeting_invitees (calendly_uri) where rescheduled;

  -- What the reports count: the bookings in the range that the settings name.
  perform calendly_sync_view('calendly_reported_bookings', $$
    select *
    from (
      select b.*, axis, case axis when 'booked' then booked_at else start_time end as reported_at,
        case nullif(current_setting('calendly_sync.by', true), '')
          when 'host' then array_to_string(hosts, ', ') when 'type' then title when 'source' then utm_source
        end as segment
      from calendly_bookings b
      cross join (select coalesce(nullif(current_setting('calendly_sync.axis', true), ''), 'meeting') as axis) as wanted
    ) as bookings
    where case -- the planner expects half of the rows, not few
      when concat(current_setting('calendly_sync.since', true), current_setting('calendly_sync.until', true)) = '' then true
      when reported_at at time zone timezone >= coalesce(nullif(current_setting('calendly_sync.since', true), ''),
        '-infinity')::timestamp
      then reported_at at time zone timezone < coalesce(nullif(current_setting('calendly_sync.until', true), ''),
        'infinity')::timestamp
    end
  $$, '005: the bookings that the settings of a report select');

  perform calendly_sync_view('calendly_weekly', $$
    select axis, date_trunc('week', reported_at at time zone timezone)::date as week, timezone, segment,
      count(*) as bookings, count(distinct email) as people,
      count(*) filter (where outcome = 'held') as held, count(*) filter (where outcome = 'no_show') as no_show,
      count(*) filter (where outcome = 'canceled') as canceled,
      count(*) filter (where outcome = 'rescheduled') as rescheduled,
      count(*) filter (where outcome in ('upcoming', 'running')) as upcoming,
      round(100.0 * count(*) filter (where outcome = 'no_show')
        / nullif(count(*) filter (where outcome in ('held', 'no_show')), 0), 1) as no_show_percent
    from calendly_reported_bookings group by 1, 2, 3, 4
  $$, '005: bookings by week');

  perform calendly_sync_view('calendly_lead_time', $$
    select from_days, case from_days when 0 then 'same day' when 1 then 'next day' when 2 then 'within a week'
        when 7 then 'within two weeks' when 14 then 'later' else 'unknown' end as lead_time,
      segment, count(*) as bookings,
      round(percentile_cont(0.5) within group (order by lead_hours)::numeric, 1) as median_hours,
      round(100.0 * count(*) filter (where outcome = 'no_show')
        / nullif(count(*) filter (where outcome in ('held', 'no_show')), 0), 1) as no_show_percent,
      round(100.0 * count(*) filter (where outcome = 'canceled') / count(*), 1) as canceled_percent
    from (
      select *, case when start_time < booked_at + interval '24 hours' then 0
        when start_time < booked_at + interval '48 hours' then 1 when start_time < booked_at + interval '168 hours' then 2
        when start_time < booked_at + interval '336 hours' then 7
        when start_time >= booked_at + interval '336 hours' then 14 end as from_days
      from calendly_reported_bookings where outcome <> 'rescheduled'
    ) as bookings group by 1, 2, 3
  $$, '005: how long before the meeting people book');

  perform calendly_sync_view('calendly_cancellations', $$
    select canceled_by, cancel_reason, segment, count(*) as bookings,
      round(percentile_cont(0.5) within group (order by notice_hours)::numeric, 1) as median_notice_hours,
      count(*) filter (where notice_hours < 24) as within_a_day
    from calendly_reported_bookings where outcome = 'canceled' group by 1, 2, 3
  $$, '005: who cancels, why and how late');

  perform calendly_sync_view('calendly_sources', $$
    select utm_source, utm_medium, utm_campaign, segment, count(*) as bookings, count(distinct email) as people,
      count(*) filter (where outcome = 'held') as held, count(*) filter (where outcome = 'no_show') as no_show,
      count(*) filter (where outcome = 'canceled') as canceled,
      -- Amounts of several currencies have no sum; calendly_revenue shows each.
      case when count(distinct currency) filter (where paid is not null) = 1 then sum(paid) end as paid,
      case when count(distinct currency) filter (where paid is not null) = 1
        then min(currency) filter (where paid is not null) end as currency
    from calendly_reported_bookings where outcome <> 'rescheduled' group by 1, 2, 3, 4
  $$, '005: where bookings come from, and what became of them');

  perform calendly_sync_view('calendly_host_load', $$
    select host, date_trunc('week', start_time at time zone timezone)::date as week, timezone,
      count(*) as meetings, sum(bookings) as bookings,
      round(sum(extract(epoch from end_time - start_time))::numeric / 3600, 2) as hours
    from (
      select meeting_id, start_time, end_time, timezone, count(*) as bookings
      from calendly_reported_bookings where outcome in ('held', 'no_show', 'upcoming', 'running')
      group by 1, 2, 3, 4
    ) as meetings
    join (
      select distinct meeting_id, coalesce(email, name, calendly_user_uri) as host from meeting_hosts
    ) as hosts using (meeting_id)
    group by 1, 2, 3
  $$, '005: meetings and hours per host and week; a meeting counts for each of its hosts');

  perform calendly_sync_view('calendly_people', $$
    select email, max(name) as name, count(*) as bookings, count(*) filter (where outcome = 'held') as held,
      count(*) filter (where outcome = 'no_show') as no_show, count(*) filter (where outcome = 'canceled') as canceled,
      count(*) filter (where outcome in ('upcoming', 'running')) as upcoming,
      min(booked_at) as first_booked_at, max(start_time) filter (where outcome = 'held') as last_held_at
    from calendly_reported_bookings where outcome <> 'rescheduled' group by 1
  $$, '005: one row per person');

  perform calendly_sync_view('calendly_answers', $$
    select a.question, a.answer, count(*) as bookings, count(*) filter (where b.outcome = 'held') as held
    from calendly_reported_bookings b
    join invitee_answers a on a.invitee_id = b.invitee_id
    where b.outcome <> 'rescheduled' group by 1, 2
  $$, '005: what people answered');

  perform calendly_sync_view('calendly_chains', $$
    select chain_uri, count(*) as bookings, min(booked_at) as first_booked_at, max(start_time) as last_start_time,
      (array_agg(invitee_uri order by outcome = 'rescheduled', booked_at desc))[1] as last_invitee_uri,
      (array_agg(outcome order by outcome = 'rescheduled', booked_at desc))[1] as last_outcome
    from calendly_reported_bookings group by 1 having bool_or(is_rebooking) or bool_or(outcome = 'rescheduled')
  $$, '005: one row per chain of rescheduled bookings');

  perform calendly_sync_view('calendly_revenue', $$
    select axis, date_trunc('month', reported_at at time zone timezone)::date as month, timezone, segment, currency,
      count(*) as payments, sum(paid) as paid, sum(paid) filter (where outcome in ('held', 'no_show')) as paid_and_due,
      sum(paid) filter (where outcome = 'canceled') as paid_and_canceled
    from calendly_reported_bookings where paid is not null group by 1, 2, 3, 4, 5
  $$, '005: what was paid, by month');
end
$calendly$;

select pg_describe_object(classoid, objoid, objsubid) from pg_description where description like 'calendly-sync 005%';
