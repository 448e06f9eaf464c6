/** `/scheduled_events` and what is below it; and what an integration can do to meetings, each the host's action. */
import type { z } from 'zod';
import { requireMembers } from './account-endpoints.js';
import { ApiError } from './api-error.js';
import { bookingOperations } from './booking-operations.js';
import { type ApiRequest, create, type Endpoint, list, remove, show } from './endpoint.js';
import type { Meeting } from './meetings.js';
import { InvalidCommand } from './operation.js';
import { idOf, uriOf } from './organization.js';
import type { Listing } from './paging.js';
import { cancellationBody, eventsQuery, inviteesQuery, noShowBody } from './parameters.js';
import { inviteeUri, isHostedBy } from './resources.js';

const SCOPE = 'scheduled_events';
const EVENTS = '/scheduled_events';
const NO_SHOWS = '/invitee_no_shows';
const { cancel, noShow } = bookingOperations;

export const eventEndpoints: readonly Endpoint[] = [
  list(EVENTS, SCOPE, eventsQuery, (request, query): Listing<Meeting> => {
    requireEvents(request, query);
    const { user, status, invitee_email, min_start_time: min, max_start_time: max, sort } = query;
    const { exclusiveBounds } = request.state;
    return {
      rows: request.meetings.ordered(),
      positionOf: ({ start, sequence }) => [start, sequence],
      descending: sort === 'start_time:desc',
      accepts: ({ start, event, invitees, visibility }) =>
        visibility === 'visible' &&
        (exclusiveBounds ? start > min && start < max : start >= min && start <= max) &&
        (status === undefined || event.status === status) &&
        (user === undefined || isHostedBy(event, user)) &&
        (invitee_email === undefined || invitees.some(({ email }) => email.toLowerCase() === invitee_email)),
      show: ({ event }) => event,
    };
  }),
  show(`${EVENTS}/:id`, SCOPE, (request, id) => visibleMeeting(request, id).event),
  list(`${EVENTS}/:id/invitees`, SCOPE, inviteesQuery, (request, { status, email, sort }, id) => {
    const rows = visibleMeeting(request, id)
      .invitees.filter((invitee) => status === undefined || invitee.status === status)
      .filter((invitee) => email === undefined || invitee.email.toLowerCase() === email)
      .sort((a, b) => (a.created_at < b.created_at ? -1 : a.created_at > b.created_at ? 1 : 0));
    return sort === 'created_at:desc' ? rows.reverse() : rows;
  }),
  show(`${EVENTS}/:id/invitees/:below`, SCOPE, (request, id, below) => {
    const { event, invitees } = visibleMeeting(request, id);
    const invitee = invitees.find(({ uri }) => uri === inviteeUri(event.uri, below));
    if (!invitee) throw new ApiError(404);
    return invitee;
  }),
  create(`${EVENTS}/:id/cancellation`, SCOPE, cancellationBody, (request, { reason = null }, id) => {
    const { uri: event } = visibleMeeting(request, id).event;
    return act(() => cancel.run(request.state, { event, by: 'host', reason })).event.cancellation;
  }),
  create(NO_SHOWS, SCOPE, noShowBody, (request, { invitee }) => {
    const [event = ''] = invitee.split('/invitees/');
    if (!visibleMeeting(request, idOf(event)).invitees.some(({ uri }) => uri === invitee)) {
      throw new ApiError(404);
    }
    const { invitees } = act(() => noShow.run(request.state, { event, invitee }));
    return { ...invitees.find(({ uri }) => uri === invitee)?.no_show, invitee };
  }),
  show(`${NO_SHOWS}/:id`, SCOPE, (request, id) => {
    const { uri: invitee, no_show } = markedInvitee(request, id);
    return { ...no_show, invitee };
  }),
  remove(`${NO_SHOWS}/:id`, SCOPE, (request, id) => {
    const { event, uri: invitee } = markedInvitee(request, id);
    act(() => noShow.run(request.state, { event, invitee, marked: false }));
  }),
];

/** @throws ApiError 403 unless the caller may list the meetings of this user or organization */
function requireEvents(request: ApiRequest, query: z.output<typeof eventsQuery>): void {
  const { caller } = request;
  requireMembers(request, query);
  // The sandbox's organization has no groups.
  if (query.group !== undefined) throw new ApiError(403);
  if (query.organization !== undefined && caller.role === 'user') throw new ApiError(403);
  if (query.organization === undefined && query.user !== caller.user.uri) {
    throw new ApiError(403, {
      message: 'Please also specify organization when requesting events for a user within your organization.',
    });
  }
}

/** The meeting with this id, if the caller may see it. @throws ApiError 403 or 404 */
function visibleMeeting({ meetings, caller }: ApiRequest, id: string): Meeting {
  const meeting = meetings.find(id);
  if (!meeting || meeting.visibility === 'deleted') throw new ApiError(404);
  const isAllowed = caller.role !== 'user' || isHostedBy(meeting.event, caller.user.uri);
  if (isAllowed && meeting.visibility === 'visible') return meeting;
  throw new ApiError(403, { message: 'You are not allowed to view this event' });
}

function markedInvitee(request: ApiRequest, id: string) {
  const mark = uriOf('invitee_no_shows', id);
  const all = request.meetings.ordered().flatMap(({ invitees }) => invitees);
  const invitee = all.find(({ no_show }) => no_show?.uri === mark);
  if (!invitee) throw new ApiError(404);
  visibleMeeting(request, idOf(invitee.event));
  return invitee;
}

/** Runs an operation for a caller of the API. @throws ApiError 403 when it cannot be executed */
function act<Result>(run: () => Result): Result {
  try {
    return run();
  } catch (error) {
    throw error instanceof InvalidCommand ? new ApiError(403, { message: error.message }) : error;
  }
}
