/** Groups, routing forms, their submissions and contacts. */
import { z } from 'zod';
import { found, requireListing } from './account-endpoints.js';
import { account, count, type Endpoint, endpoint, nothing, order, uri } from './endpoint.js';
import { uriOf } from './organization.js';
import { sorted } from './paging.js';

const { organization } = account;
const ofOrganization = z.object({ organization: organization.unwrap(), count });
const submissionsQuery = z.object({ form: uri('routing_forms'), sort: order('created_at'), count });
const contactsQuery = z.object({ sort: z.union([order('created_at'), order('updated_at')]), count });

export const directoryEndpoints: readonly Endpoint[] = [
  endpoint('GET /groups', 'groups', ofOrganization, (request, query) => {
    requireListing(request, query);
    return request.state.directory.groups;
  }),
  endpoint('GET /routing_forms', 'routing_forms', ofOrganization, (request, query) => {
    requireListing(request, query);
    return request.state.directory.forms;
  }),
  endpoint(
    'GET /routing_form_submissions',
    'routing_forms',
    submissionsQuery,
    ({ state }, { form, sort }) => {
      found(state.directory.forms.find((one) => one.uri === form));
      return sorted(
        state.directory.submissions.filter((one) => one.routing_form === form),
        sort ?? 'created_at:asc',
      );
    },
  ),
  endpoint('GET /contacts', 'contacts', contactsQuery, ({ state, caller }, { sort = 'created_at:asc' }) => {
    const own = state.directory.contacts.filter(({ owner }) => owner === caller.user.uri);
    return sorted(
      own.map(({ resource }) => resource),
      sort,
    );
  }),
  endpoint('GET /contacts/:id', 'contacts', nothing, ({ state, id }) => {
    return found(state.directory.contacts.find(({ resource }) => resource.uri === uriOf('contacts', id)))
      .resource;
  }),
];
