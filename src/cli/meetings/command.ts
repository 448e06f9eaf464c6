/** `meetings`: what was synced, as a list, one meeting with its people and history, or a file for another program. */
import { Option } from '@commander-js/extra-typings';
import type { ListedMeeting, MeetingsOptions } from '../../reports/meetings.js';
import { type CommandContext, commandAction, type DefineCommand } from '../command.js';
import { withExistingDatabase } from '../database.js';
import { duration, instant, integer } from '../option-parsers.js';

export const meetings: DefineCommand = (program, session) => {
  program
    .command('meetings')
    .description('list the synced meetings, by default the upcoming ones, or show one')
    .argument('[id]', 'id of a meeting, or the id or URI of its Calendly event')
    .option('--from <date>', 'meetings that end after this time (default: now)', instant)
    .option('--until <date>', 'meetings that begin before this time', instant)
    .addOption(
      new Option('--next <duration>', 'meetings of the next 7d, 24h').argParser(duration).conflicts('until'),
    )
    .option('--user <id-or-email>', 'only meetings of this user of the database')
    .option('--with <email>', 'only meetings with this invitee or host')
    .addOption(
      new Option('--status <status>', 'deleted covers canceled')
        .choices(['active', 'deleted', 'all'])
        .default('active' as const),
    )
    .option('--search <text>', 'a part of the title, or of the name or address of an invitee')
    .option('--limit <n>', 'max meetings (default: 50; all for files)', integer(1, 999_999))
    .addOption(new Option('--jsonl', 'print one JSON object per line').conflicts(['csv', 'ics', 'json']))
    .addOption(new Option('--csv', 'print CSV').conflicts(['ics', 'json']))
    .addOption(new Option('--ics', 'print a calendar file').conflicts('json'))
    .addHelpText('after', EXAMPLES)
    .action(
      commandAction(session, (context, flags, id) =>
        id === undefined ? list(context, flags) : show(context, id),
      ),
    );
};

interface Flags {
  from?: number;
  until?: number;
  next?: number;
  user?: string;
  with?: string;
  status: 'active' | 'deleted' | 'all';
  search?: string;
  limit?: number;
  jsonl?: true;
  csv?: true;
  ics?: true;
}

async function list(context: CommandContext, flags: Flags) {
  const { output } = context;
  const now = Date.now();
  const { from = now, next, until = next === undefined ? undefined : now + next, status } = flags;
  const { jsonl, csv: asCsv, ics: asIcs } = flags;
  const isFile = jsonl || asCsv || asIcs;
  const options: Omit<MeetingsOptions, 'database'> = {
    from: new Date(from),
    until: until === undefined ? null : new Date(until),
    user: flags.user ?? null,
    with: flags.with ?? null,
    search: flags.search ?? null,
    status,
    limit: flags.limit ?? (isFile ? 1_000_000 : 50),
  };
  const { listMeetings } = await import('../../reports/meetings.js');
  const result = await withExistingDatabase(context, (database) => listMeetings({ database, ...options }));
  const { csv, ics } = await import('../terminal/formats.js');
  if (jsonl) output.raw(result.meetings.map((meeting) => `${JSON.stringify(meeting)}\n`).join(''));
  else if (asCsv) {
    const names = [
      'id',
      'external_id',
      'title',
      'start_time',
      'end_time',
      'status',
      'location_type',
      'join_url',
    ];
    const head = [...names, 'hosts', 'invitees', 'calendly_uri'];
    output.raw(
      csv(
        head,
        result.meetings.map((meeting) => head.map((name) => field(meeting, name))),
      ),
    );
  } else if (asIcs) output.raw(ics(result.meetings.flatMap(calendarEntry), new Date(now)));
  else if (result.meetings.length === 0) output.result('No meetings.');
  else {
    const rows = result.meetings.map((meeting) => [
      localTime(meeting.start_time),
      meeting.title ?? '',
      people(meeting),
      meeting.hosts.join(', '),
      meeting.status === 'active' ? '' : meeting.status,
      meeting.id,
    ]);
    await output.table(['Start', 'Title', 'Invitees', 'Hosts', 'Status', 'Id'], rows, { minColumns: 3 });
    if (result.more) output.note('There are more: raise --limit.');
  }
  return { document: result };
}

async function show(context: CommandContext, id: string) {
  const { readMeeting } = await import('../../reports/meetings.js');
  const meeting = await withExistingDatabase(context, (database) => readMeeting(database, id));
  const { output } = context;
  output.result(meeting.title ?? 'Meeting', 'strong');
  const facts: [string, string][] = [
    ['When', `${localTime(meeting.start_time)} – ${localTime(meeting.end_time)}`],
    ['Status', meeting.status],
    ['Hosts', meeting.hosts.join(', ')],
    ['Where', meeting.join_url ?? meeting.location_type ?? ''],
    ['Guests', meeting.guests.join(', ')],
    ['Event', meeting.calendly_uri],
  ];
  for (const [name, value] of facts) if (value !== '') output.result(`  ${name.padEnd(7)} ${value}`);
  for (const person of meeting.people) {
    const contact = [person.email, person.phone, person.timezone].filter(Boolean).join(', ');
    output.result(`  ${person.name ?? 'Invitee'} <${contact}>: ${person.outcome ?? 'unknown'}`);
    for (const { question, answer } of person.answers) output.result(`    ${question}: ${answer}`);
  }
  for (const { at, event, by } of meeting.history) {
    output.result(`  ${localTime(at)}  ${event}${by ? ` (${by})` : ''}`, 'dim');
  }
  return { document: { meeting } };
}

function field(meeting: ListedMeeting, name: string): unknown {
  if (name === 'invitees') return meeting.invitees.map(({ email, name: called }) => email ?? called ?? '');
  return meeting[name as keyof ListedMeeting];
}

function calendarEntry(meeting: ListedMeeting) {
  const {
    external_id: uid,
    title,
    start_time: start,
    end_time: end,
    join_url: url,
    location_type: type,
  } = meeting;
  if (start === null || end === null) return [];
  const description = meeting.invitees.map(({ name, email }) => `${name ?? ''} <${email ?? ''}>`).join('\n');
  const canceled = meeting.status !== 'active';
  return [{ uid, title: title ?? 'Meeting', start, end, location: url ?? type, description, canceled }];
}

function people({ invitees }: ListedMeeting): string {
  const names = invitees
    .filter(({ status }) => status !== 'canceled')
    .map(({ name, email }) => name ?? email ?? '?');
  return names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ');
}

/** In the time zone of the process. */
function localTime(time: string | null): string {
  return time === null
    ? ''
    : new Date(time).toLocaleString('sv-SE', { dateStyle: 'short', timeStyle: 'short' });
}

const EXAMPLES = `
Examples:
  $ calendly-sync meetings --next 7d
  $ calendly-sync meetings --with ada@example.com --status all --from 2025-01-01
  $ calendly-sync meetings --ics > meetings.ics
  $ calendly-sync meetings 4711`;
