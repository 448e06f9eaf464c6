/**
 * Which accounts this process takes next: the longest waiting first, at most half of its slots for accounts that were
 * never synced. Knows what a pass and a service take, not how an account is synced.
 */
import { claimAccounts } from '../accounts/lease.js';
import type { Database } from '../database/connection.js';
import type { Claim, TokenOwners } from '../database/tables/leases.js';

/** What a pass takes; a service takes what is due. */
export interface PassScope {
  /** Accounts whose last run began before this time of the database. */
  before: string;
  /** Also those whose last run failed a short time ago. */
  ignoreBackOff: boolean;
}

export interface ClaimsOptions {
  database: Database;
  hasSyncState: boolean;
  tokens: TokenOwners;
  slots: number;
  /** Null: a service. */
  pass: PassScope | null;
}

/**
 * A long transaction anywhere in the database keeps dead index entries, and each claim would walk them all: claims
 * begin where the last one ended, and from the start only so often.
 */
const FROM_START_EVERY_MS = 5_000;

/** How far one kind of accounts has been taken. */
interface Mark {
  low: number;
  /** When to look from the start again. */
  until: number;
  /** Nothing was left, from the start on. */
  isEmpty: boolean;
}

export function createClaims({ database, hasSyncState, tokens, slots, pass }: ClaimsOptions) {
  const marks = { first: newMark(), other: newMark() };
  let firstSyncs = 0;

  async function claim(kind: 'first' | 'other', limit: number): Promise<Claim[]> {
    const mark = marks[kind];
    const now = performance.now();
    if (limit <= 0 || (mark.isEmpty && now < mark.until)) return [];
    if (now >= mark.until)
      Object.assign(mark, { low: Number.NEGATIVE_INFINITY, until: now + FROM_START_EVERY_MS });
    const scope = pass ? { early: true, ...pass } : { early: false, before: null, ignoreBackOff: false };
    const choice = { limit, first: kind === 'first', low: mark.low, tokens, ...scope };
    const claims = await claimAccounts(database, choice, hasSyncState);
    mark.isEmpty = claims.length < limit && mark.low === Number.NEGATIVE_INFINITY;
    // A millisecond less: the database counts in microseconds.
    for (const { dueAt } of claims) mark.low = Math.max(mark.low, dueAt - 1);
    if (claims.length === limit || mark.isEmpty || !pass) return claims;
    // A pass ends when nothing is left from the start on.
    mark.until = 0;
    return [...claims, ...(await claim(kind, limit - claims.length))];
  }

  return {
    /** Takes up to `free` accounts; null: none are left for this pass. */
    async take(free: number): Promise<Claim[] | null> {
      const mayBeFirst = Math.min(free, Math.max(1, Math.floor(slots / 2)) - firstSyncs);
      const first = await claim('first', mayBeFirst);
      firstSyncs += first.length;
      const all = [...first, ...(await claim('other', free - first.length))];
      const isDone = marks.first.isEmpty && marks.other.isEmpty;
      return all.length === 0 && pass && isDone ? null : all;
    },
    /** An account has been synced. */
    ended({ isFirst }: Pick<Claim, 'isFirst'>): void {
      if (isFirst) firstSyncs--;
    },
  };
}

function newMark(): Mark {
  return { low: Number.NEGATIVE_INFINITY, until: 0, isEmpty: false };
}
