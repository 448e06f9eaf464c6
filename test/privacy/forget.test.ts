import { expect, test } from 'vitest';
import {
  addressesIn,
  forgetInDelivery,
  forgetInEvent,
  forgetInText,
  forgetInvitee,
} from '../../src/resources/meetings/forget.js';
import { booking, event, invitee, type Loose } from '../support/webhooks.js';

const ADA = 'ada@example.com';
const erased = new Set([ADA, "o'hara+calls@example.co.uk"]);

test('an address is found and replaced wherever it stands in a text, in any case, and no longer one is', () => {
  for (const [text, kept] of [
    ['Ada@Example.com', '[erased]'],
    ['write to <ADA@example.com>, please.', 'write to <[erased]>, please.'],
    ['mailto:ada@example.com?subject=x', 'mailto:[erased]?subject=x'],
    ['https://x.com/?email=ada%40example.com&a=1', 'https://x.com/?email=[erased]&a=1'],
    ['At ada@example.com.', 'At [erased].'],
    ["O'Hara+calls@example.co.uk", '[erased]'],
    ['yada@example.com ada@example.com.au', 'yada@example.com ada@example.com.au'],
    ['no address', 'no address'],
  ] as const) {
    expect(forgetInText(text, erased)).toBe(kept);
    if (text !== kept) expect([...addressesIn({ deep: [text] })].some((one) => erased.has(one))).toBe(true);
  }
});

test('an invitee keeps state and times, and nothing that says who it was', () => {
  const raw = invitee('https://api.calendly.com/scheduled_events/E', 'GUEST', {
    email: 'ADA@example.com',
    status: 'canceled',
    questions_and_answers: [{ question: 'Phone', answer: '+49 30', position: 0 }],
    cancellation: {
      canceled_by: 'Ada L',
      reason: 'ill',
      canceler_type: 'invitee',
      created_at: '2026-01-01T00:00:00Z',
    },
    text_reminder_number: '+49 30',
  });
  const kept = forgetInvitee(raw, erased);
  expect(kept).toMatchObject({ uri: raw.uri, status: 'canceled', erased: true, updated_at: raw.updated_at });
  expect(kept.cancellation).toEqual({ canceler_type: 'invitee', created_at: '2026-01-01T00:00:00Z' });
  expect(JSON.stringify(kept)).not.toMatch(/ada|\+49|ill|Berlin/i);
  expect(forgetInvitee(kept, new Set())).toEqual(kept);
});

test('an event loses the guest, the host and what the invitee said in it, and keeps its counters', () => {
  const raw = event('E', {
    status: 'canceled',
    event_guests: [{ email: 'ADA@example.com' }, { email: 'bob@example.com' }],
    event_memberships: [{ user: 'https://api.calendly.com/users/A', user_email: ADA, user_name: 'Ada' }],
    location: { type: 'outbound_call', location: '+49 30' },
    cancellation: { canceled_by: 'Ada L', reason: 'ill', canceler_type: 'invitee', created_at: 'T' },
  });
  const kept = forgetInEvent(raw, erased, true) as Loose;
  expect(kept).toMatchObject({
    event_guests: [{ email: 'bob@example.com' }],
    event_memberships: [{ user: 'https://api.calendly.com/users/A' }],
    location: { type: 'outbound_call' },
    cancellation: { canceler_type: 'invitee' },
    invitees_counter: raw.invitees_counter,
  });
  expect(JSON.stringify(kept)).not.toMatch(/ada|\+49|ill\b/i);
});

test('a delivery of somebody else stays as it is, and one of the person can still be applied', () => {
  const other = booking('E');
  expect(forgetInDelivery(other, erased)).toEqual(other);
  const body = booking('E', {}, { email: ADA, name: 'Ada' });
  const kept = forgetInDelivery(body, erased) as Loose;
  expect(JSON.stringify(kept)).not.toMatch(/ada/i);
  expect(kept.payload).toMatchObject({
    uri: body.payload.uri,
    scheduled_event: { uri: body.payload.scheduled_event.uri },
  });
});
