/** Lists synced meetings and shows one of them, as they are stored. Sends nothing to Calendly. */
import type { Database, Sql } from '../database/connection.js';
import { utcText } from '../database/table.js';
import { CalendlySyncError } from '../errors.js';
import { requireReports } from './report.js';

export interface MeetingsOptions {
  database: Database;
  /** Meetings that end after this time; null: all. */
  from?: Date | null;
  /** Meetings that begin before this time. */
  until?: Date | null;
  /** `users.id` or e-mail of a user of the database. */
  user?: string | null;
  /** An invitee's or host's address. */
  with?: string | null;
  /** Deleted covers canceled. */
  status?: 'active' | 'deleted' | 'all';
  /** A part of the title, or of an invitee's name or address. */
  search?: string | null;
  /** Max rows; the result says if there are more. */
  limit?: number;
}

/** One meeting, however many users here share it. Times are UTC, ISO 8601. */
export interface ListedMeeting {
  /** `meetings.id`. */
  id: string;
  /** The last segment of the event's URI. */
  external_id: string;
  title: string | null;
  start_time: string | null;
  end_time: string | null;
  status: 'active' | 'canceled' | 'gone' | 'access_lost' | 'reassigned';
  location_type: string | null;
  join_url: string | null;
  /** Addresses of the hosts, in Calendly's order. */
  hosts: string[];
  invitees: { name: string | null; email: string | null; status: string | null }[];
  calendly_uri: string;
}

export interface MeetingList {
  meetings: ListedMeeting[];
  /** There are more than `limit`. */
  more: boolean;
}

const MEETING = `
  m.id::text as id, e.external_id, m.title::text as title, m.calendly_uri,
  ${utcText('e.start_time')} as start_time, ${utcText('e.end_time')} as end_time,
  case when m.is_deleted then coalesce(m.deleted_reason::text, 'canceled') else 'active' end as status,
  m.location_type::text as location_type, m.join_url::text as join_url,
  array(
    select coalesce(email, name, calendly_user_uri) from meeting_hosts h where h.meeting_id = m.id order by position
  ) as hosts,
  coalesce((
    select json_agg(json_build_object('name', name, 'email', email, 'status', status) order by calendly_created_at, id)
    from meeting_invitees where meeting_id = m.id
  ), '[]') as invitees`;

/** The meetings in order of time. @throws CalendlySyncError `user_unknown` */
export async function listMeetings(options: MeetingsOptions): Promise<MeetingList> {
  const { database, from = null, until = null, user = null, status = 'active', limit = 50 } = options;
  const [person, search] = [options.with?.trim().toLowerCase() ?? null, contains(options.search)];
  return database.transaction(
    async (sql) => {
      await requireReports(sql);
      const userId = user === null ? null : await findUser(sql, user);
      const rows = await sql<ListedMeeting[]>`
        select ${sql.unsafe(MEETING)}
        from (
          -- A meeting that several users share is listed once, as one of those who still have it.
          select distinct on (e.external_id) e.meeting_id from calendly_events e
          join meetings m on m.id = e.meeting_id
          where (${from}::timestamptz is null or e.end_time > ${from})
            and (${until}::timestamptz is null or e.start_time < ${until})
            and (${userId}::text is null or e.user_id::text = ${userId})
            and (${status} = 'all' or (m.is_deleted is true) = (${status} = 'deleted'))
          order by e.external_id, m.is_deleted is true, e.written_at desc
        ) as chosen
        join calendly_events e using (meeting_id)
        join meetings m on m.id = e.meeting_id
        where (${person}::text is null
            or exists (select from meeting_invitees i where i.meeting_id = m.id and lower(btrim(i.email)) = ${person})
            or exists (select from meeting_hosts h where h.meeting_id = m.id and lower(h.email) = ${person}))
          and (${search}::text is null or m.title::text ilike ${search} or exists (
            select from meeting_invitees i where i.meeting_id = m.id and (i.name ilike ${search} or i.email ilike ${search})))
        order by e.start_time, e.external_id
        limit ${limit + 1}`;
      return { meetings: rows.slice(0, limit), more: rows.length > limit };
    },
    { readOnly: true },
  );
}

/** A meeting with its people, and what happened to it, the earliest first. */
export interface MeetingDetails extends ListedMeeting {
  people: {
    name: string | null;
    email: string | null;
    outcome: string | null;
    phone: string | null;
    timezone: string | null;
    answers: { question: string | null; answer: string | null }[];
  }[];
  guests: string[];
  history: { at: string; event: string; by: string | null }[];
}

/**
 * One meeting by `meetings.id`, the id of its event or its URI.
 * @throws CalendlySyncError `usage` if it is not stored
 */
export async function readMeeting(database: Database, id: string): Promise<MeetingDetails> {
  const externalId = id.replace(/\/+$/, '').split('/').at(-1) ?? id;
  return database.transaction(
    async (sql) => {
      await requireReports(sql);
      const [meeting] = await sql<MeetingDetails[]>`
        select ${sql.unsafe(MEETING)},
          coalesce((
            select json_agg(json_build_object(
              'name', i.name, 'email', i.email, 'phone', i.phone, 'timezone', i.timezone,
              'outcome', (select outcome from calendly_bookings b where b.invitee_id = i.id),
              'answers', coalesce((
                select json_agg(json_build_object('question', question, 'answer', answer) order by position)
                from invitee_answers a where a.invitee_id = i.id
              ), '[]')
            ) order by i.calendly_created_at, i.id) from meeting_invitees i where i.meeting_id = m.id
          ), '[]') as people,
          array(select email from meeting_guests g where g.meeting_id = m.id order by position) as guests
        from calendly_events e
        join meetings m on m.id = e.meeting_id
        where m.id::text = ${id} or e.external_id = ${externalId}
        order by m.is_deleted is true, e.written_at desc
        limit 1`;
      if (!meeting) {
        const hint = 'List them with: calendly-sync meetings --status all --search TEXT';
        throw new CalendlySyncError('usage', `There is no meeting ${id} in the database.`, { hint });
      }
      return { ...meeting, history: await readHistory(sql, meeting.id) };
    },
    { readOnly: true },
  );
}

function readHistory(sql: Sql, meetingId: string): Promise<MeetingDetails['history']> {
  return sql<MeetingDetails['history']>`
    select ${sql.unsafe(utcText('at'))} as at, event, "by"
    from (
      select i.calendly_created_at as at,
        case when i.old_invitee_uri is null then 'booked' else 'booked again, after another time' end as event,
        coalesce(i.email, i.name) as "by"
      from meeting_invitees i where i.meeting_id::text = ${meetingId}
      union all
      select i.canceled_at, case when i.rescheduled then 'rescheduled' else 'canceled' end
          || coalesce(': ' || nullif(btrim(i.cancel_reason), ''), ''), coalesce(i.canceled_by, i.email)
      from meeting_invitees i where i.meeting_id::text = ${meetingId}
      union all
      select i.no_show_at, 'marked as no-show', i.email
      from meeting_invitees i where i.meeting_id::text = ${meetingId}
      union all
      select m.deleted_at, 'deleted: ' || coalesce(m.deleted_reason::text, 'canceled'), null
      from meetings m where m.id::text = ${meetingId} and m.is_deleted
    ) as history
    where at is not null order by history.at, event`;
}

async function findUser(sql: Sql, user: string): Promise<string> {
  const [found] = await sql<{ id: string }[]>`
    select user_id::text as id from calendly_accounts
    where user_id::text = ${user} or lower(email) = lower(${user}) order by (user_id::text = ${user}) desc limit 1`;
  if (found) return found.id;
  throw new CalendlySyncError('user_unknown', `There is no connected user ${user}.`, {
    hint: 'Name a user by users.id or by e-mail.',
  });
}

/** A pattern for ILIKE that finds the text itself. */
function contains(text: string | null | undefined): string | null {
  return text ? `%${text.replace(/[\\%_]/g, '\\$&')}%` : null;
}
