/**
 * What a webhook's body says: its kind, the invitee, the event, whose meeting it is, and which change it tells of. Pure; a body
 * that says something else still becomes a delivery, with what is wrong with it.
 */
import { createHash } from 'node:crypto';
import { canonicalTimestamp } from '../../calendly/timestamps.js';
import { isJson, type Json } from '../../database/table.js';

/** The kinds that change a meeting. Any other is kept and acknowledged. */
export const INVITEE_KINDS = [
  'invitee.created',
  'invitee.canceled',
  'invitee_no_show.created',
  'invitee_no_show.deleted',
] as const;
export type InviteeKind = (typeof INVITEE_KINDS)[number];

/** One delivery as it was understood. */
export interface Delivery {
  /** The same for every copy of one change, whichever subscription sent it and however often. */
  eventId: string;
  eventType: string;
  /** The whole body, as it is kept: as it was parsed, or as text where it is nested deeper than Postgres takes. */
  body: Json | string;
  /** The whole body as it came. */
  text: string;
  /** When the change happened, by Calendly's clock, as canonical text. */
  occurredAt: string | null;
  inviteeUri: string | null;
  /** Null for a kind that changes no meeting, and for what cannot be applied. */
  change: Change | null;
  /** Why it cannot be applied; null for kinds that need not be. */
  problem: string | null;
}

/** What a delivery says of a meeting. */
export interface Change {
  kind: InviteeKind;
  meetingUri: string;
  invitee: Json;
  /** Null in very old payloads. */
  event: Json | null;
  /** URIs of the Calendly users whose meeting it is; empty where the delivery does not say. */
  hosts: string[];
  /** When a no-show mark was taken back; marks up to then no longer count. */
  noShowRemovedAt: string | null;
}

/** Deeper JSON than this is nothing that Calendly sends. */
const DEEPEST = 100;

/**
 * Understands a body; null when it is no object.
 * @param json what parsing made of it
 * @param text the body as it came
 */
export function readDelivery(json: unknown, text: string): Delivery | null {
  if (!isJson(json)) return null;
  const eventType = textOf(json.event)?.slice(0, 200) || 'unknown';
  if (isDeeper(json, DEEPEST)) {
    const problem = `the delivery is nested deeper than ${DEEPEST} levels`;
    const rest = { occurredAt: null, inviteeUri: null, change: null };
    return { eventId: hashOf(eventType, text), eventType, body: text, text, problem, ...rest };
  }
  const payload = isJson(json.payload) ? json.payload : {};
  const base = { eventType, body: json, text, problem: null, change: null };
  const hash = () => hashOf(eventType, JSON.stringify(json.payload ?? json));
  if (!isInviteeKind(eventType)) {
    const at = canonicalTimestamp(textOf(payload.updated_at) ?? textOf(payload.created_at));
    const uri = textOf(payload.uri);
    const eventId = uri && at ? identity(eventType, uri, at) : hash();
    return { ...base, eventId, occurredAt: at, inviteeUri: null };
  }
  const { scheduled_event: scheduled, ...invitee } = payload;
  const event = isJson(scheduled) && textOf(scheduled.uri) ? scheduled : null;
  const inviteeUri = textOf(invitee.uri) || null;
  const meetingUri = textOf(event?.uri) ?? (textOf(invitee.event) || null);
  const occurredAt = changeTime(eventType, invitee, json.created_at);
  const known = inviteeUri !== null && occurredAt !== null;
  const eventId = known ? identity(eventType, inviteeUri, occurredAt) : hash();
  const read = { ...base, eventId, occurredAt, inviteeUri };
  if (inviteeUri === null) return { ...read, problem: 'the delivery names no invitee' };
  if (meetingUri === null) return { ...read, problem: 'the delivery names no meeting' };
  return {
    ...read,
    change: {
      kind: eventType,
      meetingUri,
      invitee,
      event,
      hosts: hostsOf(event),
      noShowRemovedAt: eventType === 'invitee_no_show.deleted' ? occurredAt : null,
    },
  };
}

function hostsOf(event: Json | null): string[] {
  const memberships = event?.event_memberships;
  if (!Array.isArray(memberships)) return [];
  return memberships.flatMap((one) => (isJson(one) && textOf(one.user)) || []);
}

/** The change's own time; the delivery's only where Calendly says nothing better: taking back a no-show mark moves nothing. */
function changeTime(kind: InviteeKind, invitee: Json, deliveredAt: unknown): string | null {
  const mark = isJson(invitee.no_show) ? textOf(invitee.no_show.created_at) : null;
  const cancellation = isJson(invitee.cancellation) ? textOf(invitee.cancellation.created_at) : null;
  const updated = textOf(invitee.updated_at) ?? textOf(invitee.created_at);
  const delivered = textOf(deliveredAt);
  const candidates = {
    'invitee.created': [updated, delivered],
    'invitee.canceled': [cancellation, updated, delivered],
    'invitee_no_show.created': [mark, updated, delivered],
    'invitee_no_show.deleted': [mark, delivered, updated],
  }[kind];
  for (const text of candidates) {
    const time = canonicalTimestamp(text);
    if (time !== null) return time;
  }
  return null;
}

function identity(kind: string, uri: string, at: string): string {
  return `${kind}|${uri}|${at}`;
}

function hashOf(kind: string, content: string): string {
  return `${kind}|sha256:${createHash('sha256').update(content).digest('hex')}`;
}

/** True when there are more levels below this one than that; looks no deeper, so that no depth overflows our own stack. */
function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  for (const inner of Object.values(value)) if (isDeeper(inner, levels - 1)) return true;
  return false;
}

function isInviteeKind(kind: string): kind is InviteeKind {
  return (INVITEE_KINDS as readonly string[]).includes(kind);
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
