/**
 * Decides which window of start times a sync lists. Pure calendar arithmetic in UTC; knows neither clock nor database.
 */
import type { Window } from '../calendly/client.js';

/** What a run does, and why. */
export interface Plan {
  mode: 'full' | 'incremental';
  window: Window;
  /** The window is the full one: a complete listing of it finds every change. */
  fullWindow: boolean;
  /** The run may set `last_calendly_sync` and the initial-sync flag; false for a custom window. */
  updatesSyncState: boolean;
  reason: 'initial' | 'no_sync_state' | 'recent' | 'full_listing_due' | 'custom_window';
}

export interface PlanInput {
  now: number;
  /** `calendly_initial_sync_complete`; null when migration 022 is not applied. */
  initialComplete: boolean | null;
  /** When the full window was last listed completely, in ms since 1970; null if never. */
  lastFullListingAt: number | null;
  /** A custom window in ms since 1970; a missing end is that of the full window. */
  customWindow?: { since?: number | undefined; until?: number | undefined } | undefined;
}

/** The age, in ms, at which the last listing of the full window is repeated. */
export const FULL_LISTING_EVERY_MS = 24 * 3_600_000;

const FULL = { monthsBack: 24, monthsForward: 12 };
const RECENT = { monthsBack: 3, monthsForward: 6 };

/** Decides what a run does. */
export function planRun({ now, initialComplete, lastFullListingAt, customWindow }: PlanInput): Plan {
  const full = windowAround(now, FULL);
  const incremental = {
    mode: 'incremental',
    window: full,
    fullWindow: true,
    updatesSyncState: true,
  } as const;
  const { since, until } = customWindow ?? {};
  if (since !== undefined || until !== undefined) {
    const window = { from: since ?? full.from, to: until ?? full.to };
    return { ...incremental, window, fullWindow: false, updatesSyncState: false, reason: 'custom_window' };
  }
  if (initialComplete !== true) {
    return { ...incremental, mode: 'full', reason: initialComplete === null ? 'no_sync_state' : 'initial' };
  }
  // If the last listing is in the future, a clock was set back; the full window must still be listed.
  const age = lastFullListingAt === null ? Number.POSITIVE_INFINITY : now - lastFullListingAt;
  if (age >= FULL_LISTING_EVERY_MS || age < -FULL_LISTING_EVERY_MS) {
    return { ...incremental, reason: 'full_listing_due' };
  }
  return { ...incremental, window: windowAround(now, RECENT), fullWindow: false, reason: 'recent' };
}

function windowAround(now: number, span: { monthsBack: number; monthsForward: number }): Window {
  return { from: shiftMonths(now, -span.monthsBack), to: shiftMonths(now, span.monthsForward) };
}

/** Adds calendar months in UTC (subtracts if negative); a day that the month does not have becomes its last day. */
export function shiftMonths(ms: number, months: number): number {
  const date = new Date(ms);
  const day = date.getUTCDate();
  date.setUTCDate(1);
  date.setUTCMonth(date.getUTCMonth() + months);
  const lastDay = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
  date.setUTCDate(Math.min(day, lastDay));
  return date.getTime();
}
