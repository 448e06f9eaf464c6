/**
 * How long each report takes over 100,000 meetings of 20 hosts and 160,000 invitees, which SQL generates. Creates and
 * drops a database of its own. Figures, never asserted.
 */
import postgres from 'postgres';
import { openServer } from '../../src/database/connection.js';
import { migrate } from '../../src/migrations/migrate.js';
import { listMeetings } from '../../src/reports/meetings.js';
import { REPORTS, type ReportName, readReport } from '../../src/reports/report.js';

const NAME = 'calendly_sync_bench_reports';
const RUNS = 3;

/** The best of three runs of each report, and of the list of meetings, in ms. */
export async function benchReports(serverUrl: string, meetings = 100_000): Promise<Record<string, number>> {
  const admin = postgres(serverUrl, { max: 1, onnotice: () => {} });
  await admin.unsafe(`drop database if exists ${NAME} with (force)`);
  await admin.unsafe(`create database ${NAME}`);
  const url = new URL(serverUrl);
  url.pathname = `/${NAME}`;
  const database = openServer(url.href);
  const sql = postgres(url.href, { max: 1, onnotice: () => {} });
  try {
    await migrate(database);
    await fill(sql, meetings);
    const [invitees] = await sql<{ count: number }[]>`select count(*)::integer from meeting_invitees`;
    const figures: Record<string, number> = { meetings, invitees: invitees?.count ?? 0 };
    for (const report of Object.keys(REPORTS) as ReportName[])
      figures[`${report}_ms`] = await best(() => readReport({ database, report }));
    figures.weekly_by_host_ms = await best(() => readReport({ database, report: 'weekly', by: 'host' }));
    figures.list_of_meetings_ms = await best(() => listMeetings({ database, from: new Date() }));
    return figures;
  } finally {
    await sql.end();
    await database.close();
    await admin.unsafe(`drop database if exists ${NAME} with (force)`);
    await admin.end();
  }
}

async function best(run: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let n = 0; n < RUNS; n++) {
    const begun = performance.now();
    await run();
    times.push(performance.now() - begun);
  }
  return Math.round(Math.min(...times));
}

/** A tenth has two hosts, a ninth is canceled, three fifths have two invitees, one in 20 was rescheduled. */
async function fill(sql: postgres.Sql, meetings: number): Promise<void> {
  await sql`insert into users (email, name) select 'host' || n || '@example.com', 'Host ' || n from generate_series(1, 20) n`;
  await sql`
    insert into calendly_accounts (user_id, calendly_uri, email, timezone)
    select id, 'https://api.calendly.com/users/U' || id, email,
      (array['Europe/Berlin', 'America/New_York', 'Asia/Tokyo'])[1 + id % 3]
    from users`;
  await sql`
    with meeting as (
      select n, md5(n::text) as id, now() + (n - ${meetings} * 0.8) * interval '11 minutes' as start, n % 9 = 0 as gone,
        'https://api.calendly.com/scheduled_events/' || md5(n::text) as uri
      from generate_series(1, ${meetings}::integer) n
    ), inserted as (
      insert into meetings (user_id, external_id, calendly_uri, title, status, start_time, end_time, event_type_uri,
        location_type, is_deleted, deleted_reason, calendly_created_at, calendly_updated_at, raw)
      select 1 + n % 20, id, uri, 'Type ' || n % 60, case when gone then 'canceled' else 'active' end, start,
        start + interval '30 minutes', 'https://api.calendly.com/event_types/' || n % 60, 'zoom', gone,
        case when gone then 'canceled' end, start - n % 30 * interval '1 day', now(),
        jsonb_build_object('uri', uri, 'name', 'Type ' || n % 60, 'event_guests', '[]'::jsonb,
          'location', jsonb_build_object('type', 'zoom', 'join_url', 'https://zoom.example/j/' || n, 'data', repeat(id, 8)),
          'event_memberships', (
            select jsonb_agg(jsonb_build_object('user', 'https://api.calendly.com/users/U' || 1 + (n + host) % 20,
              'user_email', 'host' || 1 + (n + host) % 20 || '@example.com', 'user_name', 'Host ' || 1 + (n + host) % 20))
            from generate_series(0, case when n % 10 = 0 then 1 else 0 end) host
          ))
      from meeting returning id, user_id, external_id, start_time, end_time
    )
    insert into calendly_events (user_id, external_id, meeting_id, account_id, start_time, end_time, read_at)
    select user_id, external_id, id, user_id, start_time, end_time, now() from inserted`;
  await sql`
    insert into meeting_invitees (meeting_id, calendly_uri, email, name, status, timezone, rescheduled, old_invitee_uri,
      no_show_at, cancel_reason, canceled_at, questions_and_answers, tracking, payment,
      calendly_created_at, raw)
    select m.id, m.calendly_uri || '/invitees/' || n, 'p' || (m.id * 7 + n) % 40000 || '@example.com', 'Person ' || m.id,
      m.status, 'Europe/Paris', m.id % 20 = 0,
      case when m.id % 20 = 1 then (select p.calendly_uri from meetings p where p.id = m.id - 1) || '/invitees/' || n end,
      case when m.id % 13 = 0 then m.start_time end, case when m.is_deleted then 'busy' end,
      case when m.is_deleted then m.start_time - interval '5 hours' end,
      '[{"question": "Phone?", "answer": "+49 1"}, {"question": "How did you hear of us?", "answer": "a friend"}]',
      jsonb_build_object('utm_source', (array['google', 'mail', null])[1 + m.id % 3], 'utm_medium', 'cpc', 'utm_term', 'x' || m.id),
      case when m.id % 8 = 0 then jsonb_build_object('external_id', 'ch_' || m.id, 'amount', 50.5, 'currency', 'USD',
        'successful', true) end,
      m.calendly_created_at, jsonb_build_object('uri', m.calendly_uri || '/invitees/' || n, 'text', repeat(md5(n::text), 8))
    from meetings m cross join generate_series(1, case when m.id % 5 < 3 then 2 else 1 end) n`;
  await sql`analyze`;
}
