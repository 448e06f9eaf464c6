/** What an integration can do to meetings: cancel them, and mark or unmark no-shows. Each is the host's action. */
import { z } from 'zod';
import { notFound, permissionDenied } from './api-error.js';
import { bookingOperations } from './booking-operations.js';
import { type ApiRequest, type Endpoint, readBody } from './endpoint.js';
import { visibleMeeting } from './event-endpoints.js';
import { idOf, uriOf } from './ids.js';
import { InvalidCommand } from './operation.js';
import { uri } from './query.js';

const cancellationBody = z.object({ reason: z.string().max(10_000).nullish() });
const noShowBody = z.object({ invitee: uri('scheduled_events/[A-Za-z0-9-]+/invitees') });

export const actionEndpoints: readonly Endpoint[] = [
  {
    method: 'POST',
    path: '/scheduled_events/:id/cancellation',
    scope: 'scheduled_events:write',
    async answer(request, id) {
      const { reason = null } = await readBody(request, cancellationBody);
      const { event } = visibleMeeting(request, id);
      const { cancel } = bookingOperations;
      return act(request, (state) => ({
        resource: cancel.run(state, { event: event.uri, by: 'host', reason }).event.cancellation,
      }));
    },
  },
  {
    method: 'POST',
    path: '/invitee_no_shows',
    scope: 'scheduled_events:write',
    async answer(request) {
      const { invitee } = await readBody(request, noShowBody);
      const [event = ''] = invitee.split('/invitees/');
      const { invitees } = visibleMeeting(request, idOf(event));
      if (!invitees.some((one) => one.uri === invitee)) throw notFound();
      return act(request, (state) => {
        const marked = bookingOperations.noShow.run(state, { event, invitee, marked: true });
        const mark = marked.invitees.find((one) => one.uri === invitee)?.no_show;
        return { resource: { ...mark, invitee } };
      });
    },
  },
  {
    method: 'GET',
    path: '/invitee_no_shows/:id',
    scope: 'scheduled_events:read',
    answer(request, id) {
      const { uri: invitee, no_show } = markedInvitee(request, id);
      return { resource: { ...no_show, invitee } };
    },
  },
  {
    method: 'DELETE',
    path: '/invitee_no_shows/:id',
    scope: 'scheduled_events:write',
    answer(request, id) {
      const { event, uri: invitee } = markedInvitee(request, id);
      return act(request, (state) => {
        bookingOperations.noShow.run(state, { event, invitee, marked: false });
        return null;
      });
    },
  },
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
