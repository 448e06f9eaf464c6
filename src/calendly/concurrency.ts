/**
 * How many requests to have in flight: more while responses stay as fast as they were, fewer when they slow down or
 * fail. Pure; additive increase, multiplicative decrease, as in TCP.
 */

export interface Concurrency {
  /** Requests that may be in flight; the integer part counts. */
  readonly width: number;
  readonly maxWidth: number;
  /** The fastest response so far, in ms, slowly forgotten. */
  readonly fastestMs: number;
  /** True until the first slowdown: the width grows faster. */
  readonly starting: boolean;
  /** Not reduced again before this time: one slow moment counts once. */
  readonly steadyUntil: number;
}

const FIRST_WIDTH = 8;
const MIN_WIDTH = 2;
/** Unless `--concurrency` says otherwise. */
const DEFAULT_MAX_WIDTH = 24;

/** The initial state of an account. */
export function startingConcurrency(maxWidth = DEFAULT_MAX_WIDTH): Concurrency {
  const width = Math.min(FIRST_WIDTH, maxWidth);
  return { width, maxWidth, fastestMs: Number.POSITIVE_INFINITY, starting: true, steadyUntil: 0 };
}

/** After a response that took `latencyMs`. */
export function afterSuccess(state: Concurrency, latencyMs: number, now: number): Concurrency {
  // Forgetting 1 % per response lets the baseline follow a network that has become slower for good.
  const fastestMs = Math.min(latencyMs, state.fastestMs * 1.01);
  if (latencyMs > 3 * fastestMs + 50) return reduced({ ...state, fastestMs }, 0.8, now, latencyMs);
  const step = state.starting ? 0.5 : 1 / state.width;
  return { ...state, fastestMs, width: Math.min(state.maxWidth, state.width + step) };
}

/** After a network error, a timeout or a 5xx. */
export function afterFailure(state: Concurrency, now: number): Concurrency {
  return reduced(state, 0.6, now, 1_000);
}

function reduced(state: Concurrency, factor: number, now: number, steadyMs: number): Concurrency {
  if (now < state.steadyUntil) return state;
  const width = Math.max(Math.min(MIN_WIDTH, state.maxWidth), state.width * factor);
  return { ...state, width, starting: false, steadyUntil: now + steadyMs };
}
