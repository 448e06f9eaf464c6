/**
 * What an answer may remove, given what Calendly said elsewhere: a short, early or stale answer with status 200 or 404
 * must not delete anything. Pure: decides, but neither asks nor writes.
 */
import { isJson, type Json } from '../../database/table.js';
import { SETTLED_AFTER_MS } from './standing.js';

/** After so many readings in a row that disagree, Calendly means it: erased data, for example, may lower a count. */
export const MAX_DISAGREEMENTS = 3;

/** Whether all invitees of an event, as they were read, agree with the event itself. */
export interface Agreement {
  /** What contradicts the event; null if nothing does. */
  reason: string | null;
  /**
   * The reading counts as complete: stored invitees that it lacks are removed, and the event need not be read again. If
   * false, store what it contains, remove nothing, and read again in the next run.
   */
  believed: boolean;
  /** Readings in a row that disagreed, this one included; 0 once a reading is believed. */
  disagreements: number;
}

/**
 * Checks invitees against their event: its counters, where it has them, and its status.
 * @param event as it was listed or read, or else as it is stored
 * @param disagreements readings in a row that disagreed before this one
 */
export function checkInvitees(event: Json | null, invitees: Json[], disagreements: number): Agreement {
  const reason = event && contradiction(event, invitees);
  if (reason === null) return { reason, believed: true, disagreements: 0 };
  const believed = disagreements + 1 >= MAX_DISAGREEMENTS;
  return { reason, believed, disagreements: believed ? 0 : disagreements + 1 };
}

function contradiction(event: Json, invitees: Json[]): string | null {
  const { total, active } = isJson(event.invitees_counter) ? event.invitees_counter : {};
  const distinct = [...new Map(invitees.map((invitee) => [invitee.uri, invitee])).values()];
  const activeOnes = distinct.filter(({ status }) => status === 'active').length;
  if (isCount(total) && distinct.length !== total)
    return `Calendly returned ${distinct.length} of ${total} invitees`;
  if (event.status === 'canceled' && activeOnes > 0)
    return `the event is canceled, but ${activeOnes} of its invitees are active`;
  if (isCount(active) && activeOnes !== active)
    return `Calendly returned ${activeOnes} active invitees instead of ${active}`;
  return null;
}

function isCount(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) >= 0;
}

/** A complete listing of a window. */
export interface ListedWindow {
  /** The account has never been listed completely before. */
  initial: boolean;
  /** Events that were listed. */
  listed: number;
  /** Meetings that were stored in the window before, without those already known to be lost. */
  stored: number;
  /** Those of them that were not listed. */
  unlisted: number;
}

const MAX_UNLISTED = 20;
const MAX_UNLISTED_SHARE = 0.3;

/** True if a listing is so short that it is more likely wrong: list once more before anything follows from it. */
export function isImplausiblyShort({ initial, listed, stored, unlisted }: ListedWindow): boolean {
  return (initial && listed === 0) || (unlisted > MAX_UNLISTED && unlisted > stored * MAX_UNLISTED_SHARE);
}

/**
 * True if a 404 for a meeting means that it is gone. Within ten minutes of its creation at Calendly, or of a delivery
 * that wrote it, it may mean that Calendly's replicas lag behind: keep the meeting and ask again in the next run.
 * @param requestedAt database time before the request; all times are canonical text
 */
export function isNotFoundFinal(
  requestedAt: string,
  { createdAt, deliveredAt }: { createdAt: string | null; deliveredAt: string | null },
): boolean {
  return [createdAt, deliveredAt].every(
    // In either direction: the two clocks may differ.
    (time) => time === null || Math.abs(Date.parse(requestedAt) - Date.parse(time)) >= SETTLED_AFTER_MS,
  );
}
