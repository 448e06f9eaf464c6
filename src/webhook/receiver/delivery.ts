/**
 * Parses the body of a webhook request: event type, invitee, meeting, hosts, and the change it reports. Pure. A body
 * that reports no usable change still becomes a delivery, with the reason.
 */
import { createHash } from 'node:crypto';
import { canonicalTimestamp } from '../../calendly/timestamps.js';
import { isJson, type Json } from '../../database/table.js';
import type { Observation } from '../../resources/meetings/diff.js';
import { hostsOf } from '../../resources/meetings/owners.js';

/** The event types that change a meeting. Any other is stored and acknowledged. */
export const INVITEE_EVENTS = [
  'invitee.created',
  'invitee.canceled',
  'invitee_no_show.created',
  'invitee_no_show.deleted',
] as const;
export type InviteeEvent = (typeof INVITEE_EVENTS)[number];

/** One parsed delivery. */
export interface Delivery {
  /** Equal for every copy of one change, however often and through whichever subscription it was sent. */
  eventId: string;
  eventType: string;
  /** The body as it is stored: parsed, or as text if it is nested too deep for Postgres. */
  body: Json | string;
  /** The body as it was received. */
  text: string;
  /** When the change happened, by Calendly's clock, as canonical text. */
  occurredAt: string | null;
  inviteeUri: string | null;
  /** Null for an event type that changes no meeting, and for a delivery that cannot be applied. */
  change: MeetingChange | null;
  /** Why it cannot be applied. */
  problem: string | null;
}

/** The change of a meeting that a delivery reports. */
export interface MeetingChange {
  eventType: InviteeEvent;
  /** URIs of the Calendly users who host the meeting; empty if the delivery does not name them. */
  hosts: string[];
  observation: Observation;
}

/** Calendly sends no JSON that is nested deeper than a few levels. */
const MAX_DEPTH = 100;
/** Ids of Calendly's URIs have about 150 characters. */
const MAX_ID_LENGTH = 1_000;

/**
 * Parses a body; null if it is not a JSON object.
 * @param json the parsed body
 * @param text the body as it was received
 */
export function parseDelivery(json: unknown, text: string): Delivery | null {
  if (!isJson(json)) return null;
  const eventType = textOf(json.event)?.slice(0, 200) || 'unknown';
  const base = {
    eventType,
    body: json,
    text,
    occurredAt: null,
    inviteeUri: null,
    change: null,
    problem: null,
  };
  if (isDeeper(json, MAX_DEPTH)) {
    const problem = `the delivery is nested deeper than ${MAX_DEPTH} levels`;
    return { ...base, eventId: hashId(eventType, text), body: text, problem };
  }
  const payload = isJson(json.payload) ? json.payload : {};
  const idOf = (uri: string | null, at: string | null) =>
    uri && at ? shortId(eventType, `${uri}|${at}`) : hashId(eventType, JSON.stringify(json.payload ?? json));
  if (!isInviteeEvent(eventType)) {
    const at = canonicalTimestamp(textOf(payload.updated_at) ?? textOf(payload.created_at));
    return { ...base, eventId: idOf(textOf(payload.uri), at), occurredAt: at };
  }
  const { scheduled_event: scheduled, ...invitee } = payload;
  const event = isJson(scheduled) && textOf(scheduled.uri) ? scheduled : null;
  const inviteeUri = textOf(invitee.uri) || null;
  const meetingUri = textOf(event?.uri) ?? (textOf(invitee.event) || null);
  const occurredAt = changeTime(eventType, invitee, json.created_at);
  const delivery = { ...base, eventId: idOf(inviteeUri, occurredAt), occurredAt, inviteeUri };
  if (inviteeUri === null) return { ...delivery, problem: 'the delivery names no invitee' };
  if (meetingUri === null) return { ...delivery, problem: 'the delivery names no meeting' };
  const noShowRemovedAt = eventType === 'invitee_no_show.deleted' ? occurredAt : null;
  const source = 'webhook' as const;
  const observation = {
    uri: meetingUri,
    event,
    invitees: [invitee],
    source,
    requestedAt: null,
    noShowRemovedAt,
  };
  return { ...delivery, change: { eventType, hosts: hostsOf(event), observation } };
}

/** The time of the change; the delivery's own time only if there is no other. Removing a mark updates no other. */
function changeTime(eventType: InviteeEvent, invitee: Json, deliveredAt: unknown): string | null {
  const mark = isJson(invitee.no_show) ? invitee.no_show.created_at : null;
  const cancellation = isJson(invitee.cancellation) ? invitee.cancellation.created_at : null;
  const updated = textOf(invitee.updated_at) ?? invitee.created_at;
  const candidates = {
    'invitee.created': [updated, deliveredAt],
    'invitee.canceled': [cancellation, updated, deliveredAt],
    'invitee_no_show.created': [mark, updated, deliveredAt],
    'invitee_no_show.deleted': [mark, deliveredAt, updated],
  }[eventType];
  for (const candidate of candidates) {
    const time = canonicalTimestamp(textOf(candidate));
    if (time !== null) return time;
  }
  return null;
}

/** Postgres cannot index long text. */
function shortId(eventType: string, content: string): string {
  return content.length <= MAX_ID_LENGTH ? `${eventType}|${content}` : hashId(eventType, content);
}

function hashId(eventType: string, content: string): string {
  return `${eventType}|sha256:${createHash('sha256').update(content).digest('hex')}`;
}

/** True if more levels than that are below this one. Stops there, so that no depth overflows our own stack. */
function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  for (const inner of Object.values(value)) if (isDeeper(inner, levels - 1)) return true;
  return false;
}

function isInviteeEvent(eventType: string): eventType is InviteeEvent {
  return (INVITEE_EVENTS as readonly string[]).includes(eventType);
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
