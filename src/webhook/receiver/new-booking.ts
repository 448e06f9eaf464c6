/**
 * Recognizes a delivery that most likely reports a new meeting, and computes its rows as they are if that is so. Pure.
 */

import { isJson, type Json } from '../../database/table.js';
import { INVITEE } from '../../database/tables/invitees.js';
import { MEETING } from '../../database/tables/meetings.js';
import type { NewBooking } from '../../database/tables/new-bookings.js';
import { stringifyExact } from '../../exact-json.js';
import { diffMeeting, type MeetingDiff } from '../../resources/meetings/diff.js';
import { addressesIn } from '../../resources/meetings/forget.js';
import { sameJson } from '../../resources/meetings/rows.js';
import type { Delivery } from './delivery.js';

/** A delivery, and what it stores if its meeting is not stored yet. */
export interface BookingDelivery {
  delivery: Delivery;
  diff: MeetingDiff;
  booking: NewBooking;
}

/** Null for a delivery that only the general path can apply. */
export function newBookingOf(delivery: Delivery): BookingDelivery | null {
  const { change, body, eventId, eventType, inviteeUri, occurredAt } = delivery;
  const [host, ...others] = change?.hosts ?? [];
  const { event = null, invitees } = change?.observation ?? {};
  const [guest] = invitees ?? [];
  if (change?.eventType !== 'invitee.created' || !host || others.length > 0 || !event || !guest) return null;
  // Those who join a stored meeting.
  if (isJson(event.invitees_counter) && Number(event.invitees_counter.total) > 1) return null;
  const diff = diffOrNull(delivery);
  const [invitee] = diff?.invitees ?? [];
  if (!diff?.row || !diff.mark || !invitee || diff.mark.no_shows_removed !== null) return null;
  if (!isPartOf(diff.row, event, MEETING.documents) || !isPartOf(invitee, guest, INVITEE.documents))
    return null;
  // Without escapes the text as it was received is what was parsed: both have every character that Postgres takes.
  const text = delivery.text.includes('\\u') ? stringifyExact(body) : delivery.text;
  // A key of this name is lost on the way from the body to a row.
  if (text.includes('"__proto__"')) return null;
  const row = { host, eventId, eventType, inviteeUri, occurredAt, addresses: [...addressesIn(body)] };
  return { delivery, diff, booking: { text, event: row, row: diff.row, invitee, mark: diff.mark } };
}

/** An error is reported by the path that handles it. */
function diffOrNull({ change }: Delivery): MeetingDiff | null {
  try {
    return change && diffMeeting(null, change.observation);
  } catch {
    return null;
  }
}

/** True if the JSON of a row's columns is that of the body. What cannot be used is null in the row. */
function isPartOf(row: object, source: Json, documents: string[]): boolean {
  return documents.every((name) => {
    const value = (row as Json)[name];
    return name === 'raw' ? sameJson(value, source) : (value === null) === ((source[name] ?? null) === null);
  });
}
