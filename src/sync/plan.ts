/** The windows of start times that a sync lists, and when it lists which. Pure calendar arithmetic in UTC. */
import type { Window } from '../calendly/client.js';

/** What a run is to do, and why. */
export interface Plan {
  mode: 'full' | 'incremental';
  window: Window;
  /** The window is the full one, so that a complete listing of it closes every gap. */
  fullWindow: boolean;
  /** The run may set `last_calendly_sync` and the initial-sync flag: false for a window by hand. */
  counts: boolean;
  reason: 'initial' | 'not_optimized' | 'recent' | 'full_listing_due' | 'by_hand';
}

export interface PlanInput {
  now: number;
  /** `calendly_initial_sync_complete`; null when migration 022 is not applied. */
  initialComplete: boolean | null;
  /** When the full window was last listed completely, in ms since 1970. */
  lastFullListingAt: number | null;
  /** A window by hand; a side that is absent is the full window's. */
  byHand?: { since?: number | undefined; until?: number | undefined } | undefined;
}

/** How old the last listing of the full window may be before a sync lists it again, in ms. */
export const FULL_LISTING_EVERY_MS = 24 * 3_600_000;

const FULL = { monthsBack: 24, monthsForward: 12 };
const RECENT = { monthsBack: 3, monthsForward: 6 };

/** Decides what a run is to do. */
export function planRun({ now, initialComplete, lastFullListingAt, byHand }: PlanInput): Plan {
  const full = windowAround(now, FULL);
  if (byHand && (byHand.since !== undefined || byHand.until !== undefined)) {
    const window = { from: byHand.since ?? full.from, to: byHand.until ?? full.to };
    return { mode: 'incremental', window, fullWindow: false, counts: false, reason: 'by_hand' };
  }
  if (initialComplete !== true) {
    const reason = initialComplete === null ? 'not_optimized' : 'initial';
    return { mode: 'full', window: full, fullWindow: true, counts: true, reason };
  }
  // A last listing in the future is a clock that was put back; it must not keep the full window unlisted.
  const age = lastFullListingAt === null ? Number.POSITIVE_INFINITY : now - lastFullListingAt;
  if (age >= FULL_LISTING_EVERY_MS || age < -FULL_LISTING_EVERY_MS) {
    return { mode: 'incremental', window: full, fullWindow: true, counts: true, reason: 'full_listing_due' };
  }
  return {
    mode: 'incremental',
    window: windowAround(now, RECENT),
    fullWindow: false,
    counts: true,
    reason: 'recent',
  };
}

function windowAround(now: number, span: { monthsBack: number; monthsForward: number }): Window {
  return { from: shiftMonths(now, -span.monthsBack), to: shiftMonths(now, span.monthsForward) };
}

/** The same day and time so many calendar months later (earlier when negative), in UTC; the month's last day where it has no such day. */
export function shiftMonths(ms: number, months: number): number {
  const date = new Date(ms);
  const day = date.getUTCDate();
  date.setUTCDate(1);
  date.setUTCMonth(date.getUTCMonth() + months);
  const lastDay = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
  date.setUTCDate(Math.min(day, lastDay));
  return date.getTime();
}
