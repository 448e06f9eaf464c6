/** `/scheduled_events` and what is below it. */
import { z } from 'zod';
import { notFound, permissionDenied } from './api-error.js';
import { type ApiRequest, type Endpoint, get, pageRequest, requireMembers } from './endpoint.js';
import { inviteeUri } from './factory.js';
import { cursorOf, isHostedBy, type Meeting } from './meetings.js';
import { listingOf, pageOf } from './paging.js';
import { count, email, instant, order, readQuery, uri } from './query.js';

const SCOPE = 'scheduled_events';
const PATH = '/scheduled_events';

export const eventEndpoints: readonly Endpoint[] = [
  get(PATH, SCOPE, listEvents),
  get(`${PATH}/:id`, SCOPE, (request, id) => ({ resource: visibleMeeting(request, id).event })),
  get(`${PATH}/:id/invitees`, SCOPE, listInvitees),
  get(`${PATH}/:id/invitees/:below`, SCOPE, (request, id, below) => {
    const { event, invitees } = visibleMeeting(request, id);
    const invitee = invitees.find(({ uri: one }) => one === inviteeUri(event.uri, below));
    if (!invitee) throw notFound();
    return { resource: invitee };
  }),
];

const eventsQuery = z
  .object({
    user: uri('users').optional(),
    organization: uri('organizations').optional(),
    group: uri('groups').optional(),
    status: z.enum(['active', 'canceled']).optional(),
    invitee_email: email.optional(),
    min_start_time: instant.optional(),
    max_start_time: instant.optional(),
    sort: order('start_time').optional(),
    count,
  })
  .refine(({ user, organization, group }) => user ?? organization ?? group, {
    message: 'One of user, organization and group is required.',
  });

type EventsQuery = z.output<typeof eventsQuery>;

function listEvents(request: ApiRequest) {
  const { state, meetings, url } = request;
  const query = readQuery(url, eventsQuery);
  const { status, invitee_email, min_start_time: min = -Infinity, max_start_time: max = Infinity } = query;
  const hosts = hostsOf(request, query);
  const isInWindow = (start: number) =>
    state.exclusiveBounds ? start > min && start < max : start >= min && start <= max;
  const page = pageOf(pageRequest(request, query.count), {
    rows: meetings.ordered(),
    cursorOf,
    descending: query.sort === 'start_time:desc',
    accepts: ({ start, event, invitees, visibility }: Meeting) =>
      visibility === 'visible' &&
      isInWindow(start) &&
      (status === undefined || event.status === status) &&
      (hosts === null || event.event_memberships.some(({ user }) => hosts.has(user))) &&
      (invitee_email === undefined || invitees.some((one) => one.email.toLowerCase() === invitee_email)),
  });
  return { ...page, collection: page.collection.map(({ event }) => event) };
}

/** Whose meetings the caller asks for, if the caller may; null for everybody's. */
function hostsOf(request: ApiRequest, { user, organization, group }: EventsQuery) {
  const { state, caller } = request;
  const ownGroup = state.organization.group;
  if (organization === undefined && group === undefined) {
    requireMembers(request, { user });
    if (user !== caller.user.uri) {
      throw permissionDenied(
        'Please also specify organization when requesting events for a user within your organization.',
      );
    }
  } else {
    requireMembers(request, { organization });
    if ((group !== undefined && group !== ownGroup.uri) || caller.role === 'user') throw permissionDenied();
    requireMembers(request, { user });
  }
  if (user === undefined) return group === undefined ? null : ownGroup.members;
  return group === undefined || ownGroup.members.has(user) ? new Set([user]) : new Set<string>();
}

/** The meeting with this id, if the caller may see it. @throws ApiError 403 or 404 */
export function visibleMeeting({ meetings, caller }: ApiRequest, id: string): Meeting {
  const meeting = meetings.find(id);
  if (!meeting || meeting.visibility === 'deleted') throw notFound();
  const isAllowed = caller.role !== 'user' || isHostedBy(meeting, caller.user.uri);
  if (!isAllowed || meeting.visibility === 'access_lost') {
    throw permissionDenied('You are not allowed to view this event');
  }
  return meeting;
}

const inviteesQuery = z.object({
  status: z.enum(['active', 'canceled']).optional(),
  email: email.optional(),
  sort: order('created_at').optional(),
  count,
});

function listInvitees(request: ApiRequest, id: string) {
  const query = readQuery(request.url, inviteesQuery);
  const rows = visibleMeeting(request, id)
    .invitees.filter(({ status }) => query.status === undefined || status === query.status)
    .filter(({ email: address }) => query.email === undefined || address.toLowerCase() === query.email)
    .sort((a, b) => (a.created_at < b.created_at ? -1 : a.created_at > b.created_at ? 1 : 0));
  if (query.sort === 'created_at:desc') rows.reverse();
  return pageOf(pageRequest(request, query.count), listingOf(rows));
}
