/**
 * Removes people who were erased from what Calendly says of a meeting. An invitee stays, without anything that says who
 * it was, so that the counters of its event still agree. Pure.
 */
import { isJson, type Json } from '../../database/table.js';

/** Addresses that were erased, in lower case. */
export type Erased = ReadonlySet<string>;

/** Written instead of an address inside a longer text. */
const FORGOTTEN = '[erased]';
// An address inside a text, percent-encoded in a URL too.
const ADDRESS = /[^\s<>()[\]{}"',;:|\\/?=&#@]+(?:@|%40)[\p{L}\p{N}](?:[\p{L}\p{N}.-]*[\p{L}\p{N}])?/giu;
const MAX_ADDRESS_LENGTH = 320;

/** All addresses in a value, wherever they stand, in lower case. */
export function addressesIn(value: unknown, found = new Set<string>()): Set<string> {
  if (typeof value === 'string') {
    if (!hasAddress(value)) return found;
    if (isShort(value)) found.add(normalAddress(value));
    for (const [address] of value.matchAll(ADDRESS)) found.add(normalAddress(address));
  } else if (typeof value === 'object' && value !== null) {
    for (const inner of Object.values(value)) addressesIn(inner, found);
  }
  return found;
}

/** An address as it is compared. */
export function normalAddress(text: string): string {
  let address = text.trim().toLowerCase();
  if (address.includes('%')) {
    try {
      address = decodeURIComponent(address);
    } catch {
      // It was no part of a URL.
    }
  }
  return address.normalize('NFC');
}

/** What remains of an invitee: which one it was, its state, and when that changed. */
const KEPT = [
  'uri',
  'event',
  'status',
  'created_at',
  'updated_at',
  'rescheduled',
  'old_invitee',
  'new_invitee',
  'no_show',
  'scheduling_method',
];

/** An invitee without those who were erased; without everything personal if it is one of them. */
export function forgetInvitee(raw: Json, erased: Erased): Json {
  if (!isForgotten(raw, erased)) return erased.size > 0 ? (forget(raw, erased) as Json) : raw;
  const kept: Json = Object.fromEntries(KEPT.flatMap((key) => (key in raw ? [[key, raw[key]]] : [])));
  if (isJson(raw.cancellation)) kept.cancellation = anonymous(raw.cancellation);
  return { ...kept, erased: true };
}

/** True for an invitee who was erased, now or before. */
export function isForgotten(raw: Json | null, erased: Erased): boolean {
  return raw?.erased === true || (typeof raw?.email === 'string' && erased.has(normalAddress(raw.email)));
}

/**
 * An event without those who were erased.
 * @param isOfForgotten one of its invitees was erased: what an invitee says in an event is removed, now and later
 */
export function forgetInEvent(raw: Json, erased: Erased, isOfForgotten: boolean): Json {
  const event = erased.size > 0 ? (forget(raw, erased) as Json) : raw;
  if (!isOfForgotten && raw.erased !== true) return event;
  const { cancellation, location } = event;
  // The mark stays: a listing names no invitee.
  const rest: Json = { ...event, erased: true };
  for (const key of ['meeting_notes_plain', 'meeting_notes_html']) if (key in rest) rest[key] = null;
  if (isJson(cancellation) && cancellation.canceler_type !== 'host')
    rest.cancellation = anonymous(cancellation);
  // The number or the place that the invitee gave.
  if (isJson(location) && ['outbound_call', 'ask_invitee'].includes(String(location.type)))
    rest.location = { type: location.type };
  return rest;
}

/** A delivery's body without those who were erased; the same body if it names none of them. */
export function forgetInDelivery(body: Json, erased: Erased): Json {
  const payload = isJson(body.payload) ? body.payload : {};
  const { scheduled_event: event, ...invitee } = payload;
  const rest = forget(body, erased) as Json;
  if (!isForgotten(invitee, erased)) {
    // The form of somebody who is named in an answer only.
    const { email, questions_and_answers: answers } = invitee;
    const isTheirs = email === undefined && [...addressesIn(answers)].some((address) => erased.has(address));
    return isTheirs ? { ...rest, payload: { ...(rest.payload as Json), questions_and_answers: [] } } : rest;
  }
  const scheduled = isJson(event) ? { scheduled_event: forgetInEvent(event, erased, true) } : {};
  return { ...rest, payload: { ...forgetInvitee(invitee, erased), ...scheduled } };
}

/** A text without the addresses of those who were erased. */
export function forgetInText(text: string, erased: Erased): string {
  if (!hasAddress(text)) return text;
  if (isShort(text) && erased.has(normalAddress(text))) return FORGOTTEN;
  return text.replace(ADDRESS, (address) => (erased.has(normalAddress(address)) ? FORGOTTEN : address));
}

/** A cancellation without the name of who canceled, and without their reason. */
function anonymous({ canceler_type, created_at }: Json): Json {
  return { canceler_type, created_at };
}

/** A value without guests and hosts who were erased, and without the addresses in its texts. */
export function forget(value: unknown, erased: Erased): unknown {
  if (typeof value === 'string') return forgetInText(value, erased);
  if (Array.isArray(value)) {
    return value
      .filter(
        (one) => !(isJson(one) && typeof one.email === 'string' && erased.has(normalAddress(one.email))),
      )
      .map((one) => forget(one, erased));
  }
  if (!isJson(value)) return value;
  const { user_email: host } = value;
  const isHost = typeof host === 'string' && erased.has(normalAddress(host));
  const entries = Object.entries(value).filter(
    ([key]) => !isHost || !['user_email', 'user_name'].includes(key),
  );
  return Object.fromEntries(entries.map(([key, inner]) => [key, forget(inner, erased)]));
}

function hasAddress(text: string): boolean {
  return text.includes('@') || text.includes('%40');
}

function isShort(text: string): boolean {
  return text.length <= MAX_ADDRESS_LENGTH;
}
