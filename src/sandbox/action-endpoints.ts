/** What an integration can do to meetings: cancel them, and mark or unmark no-shows. Each is the host's action. */
import { z } from 'zod';
import { notFound, permissionDenied } from './api-error.js';
import { bookingOperations } from './booking-operations.js';
import { type ApiRequest, type Endpoint, get, readBody, write } from './endpoint.js';
import { visibleMeeting } from './event-endpoints.js';
import { idOf, uriOf } from './ids.js';
import { InvalidCommand } from './operation.js';
import { uri } from './query.js';
import type { InviteeResource } from './resources.js';

const SCOPE = 'scheduled_events';
const { cancel, noShow } = bookingOperations;

const cancellationBody = z.object({ reason: z.string().max(10_000).nullish() });
const noShowBody = z.object({ invitee: uri('scheduled_events/[A-Za-z0-9-]+/invitees') });

export const actionEndpoints: readonly Endpoint[] = [
  write('POST', '/scheduled_events/:id/cancellation', SCOPE, async (request, id) => {
    const { reason = null } = await readBody(request, cancellationBody);
    const { uri: event } = visibleMeeting(request, id).event;
    const canceled = act(request, (state) => cancel.run(state, { event, by: 'host', reason }));
    return { resource: canceled.event.cancellation };
  }),
  write('POST', '/invitee_no_shows', SCOPE, async (request) => {
    const { invitee } = await readBody(request, noShowBody);
    const [event = ''] = invitee.split('/invitees/');
    const isAsked = ({ uri: one }: InviteeResource) => one === invitee;
    if (!visibleMeeting(request, idOf(event)).invitees.some(isAsked)) throw notFound();
    const { invitees } = act(request, (state) => noShow.run(state, { event, invitee, marked: true }));
    return { resource: { ...invitees.find(isAsked)?.no_show, invitee } };
  }),
  get('/invitee_no_shows/:id', SCOPE, (request, id) => {
    const { uri: invitee, no_show } = markedInvitee(request, id);
    return { resource: { ...no_show, invitee } };
  }),
  write('DELETE', '/invitee_no_shows/:id', SCOPE, (request, id) => {
    const { event, uri: invitee } = markedInvitee(request, id);
    act(request, (state) => noShow.run(state, { event, invitee, marked: false }));
    return null;
  }),
];

/** Runs an operation for a caller of the API. @throws ApiError 403 when it cannot be executed */
function act<Result>({ state }: ApiRequest, run: (state: ApiRequest['state']) => Result): Result {
  state.meetings.beginCommand();
  try {
    return run(state);
  } catch (error) {
    throw error instanceof InvalidCommand ? permissionDenied(error.message) : error;
  }
}

/** The invitee that this no-show mark is on, if the caller may see it. */
function markedInvitee(request: ApiRequest, id: string) {
  const mark = uriOf('invitee_no_shows', id);
  const invitee = request.meetings
    .ordered()
    .flatMap(({ invitees }) => invitees)
    .find(({ no_show }) => no_show?.uri === mark);
  if (!invitee) throw notFound();
  visibleMeeting(request, idOf(invitee.event));
  return invitee;
}
