/** `/scheduled_events` and what is below it. */
import { z } from 'zod';
import { ACCOUNT_MISSING, found, namesAccount, requireMembers } from './account-endpoints.js';
import { ApiError } from './api-error.js';
import { activeOf, cancel, markNoShows } from './bookings.js';
import {
  type ApiRequest,
  account,
  count,
  type Endpoint,
  email,
  endpoint,
  nothing,
  order,
} from './endpoint.js';
import type { Meeting } from './meetings.js';
import { idOf } from './organization.js';
import { inviteeUri, isHostedBy } from './resources.js';
import { parseInstant } from './time.js';

/** A UTC time with 0 to 6 fraction digits, in microseconds. */
const instant = z.string().transform((text, context) => {
  const at = parseInstant(text);
  if (at === null) context.issues.push({ code: 'custom', message: 'is not a valid UTC time', input: text });
  return at ?? 0;
});
const status = z.enum(['active', 'canceled']).optional();
const eventsQuery = z
  .object({
    ...account,
    status,
    invitee_email: email.optional(),
    min_start_time: instant.default(-Infinity),
    max_start_time: instant.default(Infinity),
    sort: order('start_time'),
  })
  .refine(namesAccount, ACCOUNT_MISSING);
const inviteesQuery = z.object({ status, email: email.optional(), sort: order('created_at'), count });
const cancellation = z.object({ reason: z.string().nullish() });
const noShow = z.object({ invitee: z.string() });

const EVENTS = '/scheduled_events';
const SCOPE = 'scheduled_events';

export const eventEndpoints: readonly Endpoint[] = [
  endpoint(`GET ${EVENTS}`, SCOPE, eventsQuery, (request, query) => {
    requireEvents(request, query);
    const { user, invitee_email, min_start_time: min, max_start_time: max } = query;
    const meetings = request.meetings
      .ordered()
      .filter(
        ({ start, event, invitees, answer }) =>
          answer === 200 &&
          start >= min &&
          start <= max &&
          (query.status === undefined || event.status === query.status) &&
          (user === undefined || isHostedBy(event, user)) &&
          (invitee_email === undefined ||
            invitees.some(({ email }) => email.toLowerCase() === invitee_email)),
      );
    const events = meetings.map(({ event }) => event);
    return query.sort === 'start_time:desc' ? events.reverse() : events;
  }),
  endpoint(`GET ${EVENTS}/:id`, SCOPE, nothing, (request) => visibleMeeting(request, request.id).event),
  endpoint(`GET ${EVENTS}/:id/invitees`, SCOPE, inviteesQuery, (request, { status, email, sort }) => {
    const rows = visibleMeeting(request, request.id)
      .invitees.filter((invitee) => status === undefined || invitee.status === status)
      .filter((invitee) => email === undefined || invitee.email.toLowerCase() === email)
      .sort((a, b) => (a.created_at < b.created_at ? -1 : a.created_at > b.created_at ? 1 : 0));
    return sort === 'created_at:desc' ? rows.reverse() : rows;
  }),
  endpoint(`GET ${EVENTS}/:above/invitees/:id`, SCOPE, nothing, (request) => {
    const { event, invitees } = visibleMeeting(request, request.above);
    return found(invitees.find(({ uri }) => uri === inviteeUri(event.uri, request.id)));
  }),
  endpoint(`POST ${EVENTS}/:id/cancellation`, SCOPE, cancellation, (request, { reason = null }) => {
    const meeting = visibleMeeting(request, request.id);
    if (meeting.event.status === 'canceled')
      throw new ApiError(403, { message: 'Event is already canceled' });
    cancel(request.state, meeting, activeOf(meeting), { by: 'host', reason });
    return meeting.event.cancellation;
  }),
  endpoint('POST /invitee_no_shows', SCOPE, noShow, (request, { invitee: uri }) => {
    const meeting = visibleMeeting(request, idOf(uri.replace(/\/invitees\/.*/, '')));
    const invitee = found(meeting.invitees.find((one) => one.uri === uri));
    markNoShows(request.state, meeting, [invitee], true);
    return { ...invitee.no_show, invitee: uri };
  }),
];

/** @throws ApiError 403 unless the caller may list the meetings of this user or organization */
function requireEvents(request: ApiRequest, query: z.output<typeof eventsQuery>): void {
  const { caller } = request;
  requireMembers(request, query);
  if (query.organization !== undefined && caller.role === 'user') throw new ApiError(403);
  if (query.organization !== undefined || query.user === caller.user.uri) return;
  const message =
    'Please also specify organization when requesting events for a user within your organization.';
  throw new ApiError(403, { message });
}

/** The meeting with this id, if the caller may see it. @throws ApiError 403 or 404 */
function visibleMeeting({ meetings, caller }: ApiRequest, id: string): Meeting {
  const meeting = found(meetings.find(id));
  if (meeting.answer === 404) throw new ApiError(404);
  const isAllowed = caller.role !== 'user' || isHostedBy(meeting.event, caller.user.uri);
  if (isAllowed && meeting.answer === 200) return meeting;
  throw new ApiError(403, { message: 'You are not allowed to view this event' });
}
