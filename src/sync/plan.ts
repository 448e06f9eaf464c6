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
  /** The daily work is due: the full listing, the audit, and who the token's user is. */
  daily: boolean;
  reason:
    | 'initial'
    | 'no_sync_state'
    | 'recent'
    | 'full_listing_due'
    | 'custom_window'
    | 'one_meeting'
    | 'resources';
}

export interface PlanInput {
  now: number;
  /** `calendly_initial_sync_complete`; null when migration 022 is not applied. */
  initialComplete: boolean | null;
  /** When the full window was last listed completely, in ms since 1970; null if never. */
  lastFullListingAt: number | null;
  /** A custom window in ms since 1970; a missing end is that of the full window. */
  customWindow?: { since?: number | undefined; until?: number | undefined } | undefined;
  /** No window is listed, because only one meeting, or only other resources, are read. */
  only?: 'one_meeting' | 'resources' | null | undefined;
  /** Spreads the daily listings of accounts that were connected at the same time. */
  accountId?: string | null;
}

const HOUR_MS = 3_600_000;
/** The age at which the last listing of the full window is repeated, at the latest. */
export const FULL_LISTING_EVERY_MS = 24 * HOUR_MS;
/** Some accounts repeat it up to so much earlier. */
const SPREAD_MS = 6 * HOUR_MS;

const FULL = { monthsBack: 24, monthsForward: 12 };
const RECENT = { monthsBack: 3, monthsForward: 6 };

/** Whether a run lists its window. */
export function listsWindow({ reason }: Plan): boolean {
  return reason !== 'one_meeting' && reason !== 'resources';
}

/** Decides what a run does. */
export function planRun(input: PlanInput): Plan {
  const { now, initialComplete, lastFullListingAt, customWindow, only, accountId } = input;
  const full = windowAround(now, FULL);
  // If the last listing is in the future, a clock was set back; the full window must still be listed.
  const age = lastFullListingAt === null ? Number.POSITIVE_INFINITY : now - lastFullListingAt;
  const daily = age >= FULL_LISTING_EVERY_MS - spreadOf(accountId) || age < -FULL_LISTING_EVERY_MS;
  const incremental = { mode: 'incremental', window: full, updatesSyncState: true } as const;
  const partial = { ...incremental, fullWindow: false, updatesSyncState: false, daily: false };
  if (only) return { ...partial, reason: only };
  const { since, until } = customWindow ?? {};
  if (since !== undefined || until !== undefined)
    return {
      ...partial,
      window: { from: since ?? full.from, to: until ?? full.to },
      reason: 'custom_window',
    };
  if (initialComplete !== true) {
    const reason = initialComplete === null ? 'no_sync_state' : 'initial';
    return { ...incremental, mode: 'full', fullWindow: true, daily, reason };
  }
  if (daily) return { ...incremental, fullWindow: true, daily, reason: 'full_listing_due' };
  return { ...incremental, window: windowAround(now, RECENT), fullWindow: false, daily, reason: 'recent' };
}

/** A part of `SPREAD_MS` that depends on the account alone. */
function spreadOf(accountId: string | null | undefined): number {
  // A multiplier without a common factor with the modulus puts neighboring ids far apart.
  return accountId == null ? 0 : ((Number(accountId) * 7_919) % 360) * (SPREAD_MS / 360);
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
