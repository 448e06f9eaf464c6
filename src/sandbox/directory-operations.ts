/** What can be done to event types, members, groups, routing forms and contacts. Knows no HTTP. */
import { z } from 'zod';
import { createContact, createSubmission } from './directory.js';
import { host, hostNamed, InvalidCommand, operation } from './operation.js';
import { uriOf } from './organization.js';
import { uuidBy } from './random.js';
import { personBy } from './samples.js';

const fields = z.record(z.string(), z.unknown()).default({});

export const directoryOperations = {
  addType: operation(
    'adds event types to a host',
    { host: host.default(0), count: z.int().positive().default(1), set: fields },
    ({ organization, random, clock, ...state }, command) => {
      const owner = hostNamed({ organization, random, clock, ...state }, command.host).user.uri;
      const [template] = organization.eventTypes.filter((type) => type.owner === owner);
      if (!template) throw new InvalidCommand('This host has no event type to copy');
      return Array.from({ length: command.count }, () => {
        const created_at = clock.stamp();
        const resource = { ...structuredClone(template.resource), created_at, updated_at: created_at };
        Object.assign(resource, { uri: uriOf('event_types', uuidBy(random)) }, command.set);
        organization.eventTypes.push({ owner, retired: false, resource });
        return { ...resource };
      });
    },
  ),
  editType: operation(
    'sets fields of an event type; with "retired", it is deleted and no longer listed',
    { type: z.string(), set: fields, retired: z.boolean().default(false) },
    ({ organization, clock }, { type: uri, set, retired }) => {
      const type = organization.eventTypes.find(({ resource }) => resource.uri === uri);
      if (!type) throw new InvalidCommand(`There is no event type ${uri}`);
      const updated_at = clock.stamp();
      Object.assign(type.resource, { updated_at }, set, retired && { active: false, deleted_at: updated_at });
      type.retired ||= retired;
      return { ...type.resource };
    },
  ),
  removeMember: operation('removes a host from the list of members', { host }, (state, command) => {
    state.directory.former.add(hostNamed(state, command.host).user.uri);
  }),
  submitForm: operation(
    'submits a routing form: the first one, if none is named',
    {
      form: z.string().optional(),
      email: z.string().optional(),
      submitter: z.string().optional(),
      tracking: z.record(z.string(), z.string()).optional(),
      count: z.int().positive().default(1),
    },
    ({ directory, random, clock }, { form, email, count, ...facts }) => {
      const uri = form ?? directory.forms[0]?.uri ?? '';
      return Array.from({ length: count }, () => {
        const who = email ?? personBy(random).email;
        const submission = createSubmission(random, uri, clock.stamp(), who, facts);
        directory.submissions.push(submission);
        return { ...submission };
      });
    },
  ),
  addContact: operation(
    'adds contacts to the address book of a host',
    { host: host.default(0), count: z.int().positive().default(1), set: fields },
    (state, { host: name, count, set }) => {
      const { directory, random, clock } = state;
      return Array.from({ length: count }, () => {
        const contact = createContact(
          random,
          hostNamed(state, name).user.uri,
          clock.stamp(),
          personBy(random),
        );
        Object.assign(contact.resource, set);
        directory.contacts.push(contact);
        return { ...contact.resource };
      });
    },
  ),
  editContact: operation(
    'sets fields of a contact',
    { contact: z.string(), set: fields },
    ({ directory, clock }, { contact: uri, set }) => {
      const contact = directory.contacts.find(({ resource }) => resource.uri === uri);
      if (!contact) throw new InvalidCommand(`There is no contact ${uri}`);
      return { ...Object.assign(contact.resource, { updated_at: clock.stamp() }, set) };
    },
  ),
  deleteContact: operation('deletes a contact', { contact: z.string() }, ({ directory }, { contact }) => {
    directory.contacts = directory.contacts.filter(({ resource }) => resource.uri !== contact);
  }),
  directory: operation('all groups, routing forms, submissions and contacts', {}, ({ directory }) => {
    const { groups, forms, submissions, contacts } = directory;
    return structuredClone({ groups, forms, submissions, contacts });
  }),
};
