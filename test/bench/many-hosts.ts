/**
 * A Calendly with any number of hosts, in a process of its own: `token-7` is the token of host 7, who has 20 meetings that
 * never change. Every answer is calculated from the number, so that it costs little next to what is measured.
 */
import { createServer } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

export const MEETINGS_PER_HOST = 20;

export const hostUri = (host: number) => `https://api.calendly.com/users/HOST${host}`;
export const eventId = (host: number, index: number) => `E${host}x${index}`;

/** One meeting of a host, as it is listed. @param day the start of the day from which meetings are counted, ms */
export function eventOf(host: number, index: number, day: number) {
  const start = day + (index - 5) * 86_400_000 + (host % 600) * 60_000;
  const time = (ms: number) => new Date(ms).toISOString().replace('Z', '000Z');
  return {
    uri: `https://api.calendly.com/scheduled_events/${eventId(host, index)}`,
    name: '30 Minute Meeting',
    status: 'active',
    start_time: time(start),
    end_time: time(start + 1_800_000),
    event_type: `https://api.calendly.com/event_types/T${host}`,
    location: {
      type: 'google_conference',
      status: 'pushed',
      join_url: `https://meet.example.com/${host}/${index}`,
    },
    invitees_counter: { total: 1, active: 1, limit: 1 },
    created_at: time(day - 30 * 86_400_000),
    updated_at: time(day - 29 * 86_400_000),
    event_memberships: [
      { user: hostUri(host), user_email: `host${host}@example.com`, user_name: `Host ${host}` },
    ],
    event_guests: [],
    calendar_event: null,
    meeting_notes_plain: null,
    meeting_notes_html: null,
  };
}

/** Serves until the process ends; prints its port. */
async function serve(day: number, latencyMs: number): Promise<void> {
  const headers = {
    'content-type': 'application/json',
    'x-ratelimit-limit': '500',
    'x-ratelimit-remaining': '499',
    'x-ratelimit-reset': '60',
  };
  const server = createServer(async (request, response) => {
    const host = Number(/token-(\d+)/.exec(request.headers.authorization ?? '')?.[1] ?? -1);
    const collection = Array.from({ length: MEETINGS_PER_HOST }, (_, index) => eventOf(host, index, day));
    const body = request.url?.startsWith('/users/me')
      ? {
          resource: {
            uri: hostUri(host),
            email: `host${host}@example.com`,
            name: `Host ${host}`,
            timezone: 'UTC',
          },
        }
      : { collection, pagination: { count: collection.length, next_page: null } };
    if (latencyMs > 0) await delay(latencyMs);
    response.writeHead(200, headers).end(JSON.stringify(body));
  });
  server.keepAliveTimeout = 60_000;
  server.listen(0, '127.0.0.1', () => process.stdout.write(`${JSON.stringify(server.address())}\n`));
}

const [, script, day, latencyMs] = process.argv;
if (script?.endsWith('many-hosts.ts') && day) await serve(Number(day), Number(latencyMs));
