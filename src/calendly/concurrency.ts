/**
 * How many requests to have under way at once: more while answers stay as quick as they were, fewer when they slow down or
 * fail. Pure; additive increase and multiplicative decrease, as TCP does it.
 */

export interface Concurrency {
  /** Requests that may be under way; its whole part counts. */
  readonly width: number;
  /** The quickest answer so far, in ms, slowly forgotten. */
  readonly quickestMs: number;
  /** True until the first slowdown: the width grows faster. */
  readonly starting: boolean;
  /** Not narrowed again before this time: one slow moment counts once. */
  readonly settledAt: number;
}

/** How many requests are under way at most, unless `--concurrency` says otherwise. */
export const DEFAULT_WIDEST = 24;

const FIRST_WIDTH = 8;
const NARROWEST = 2;

/** Where every account starts. */
export function startingConcurrency(widest = DEFAULT_WIDEST): Concurrency {
  return {
    width: Math.min(FIRST_WIDTH, widest),
    quickestMs: Number.POSITIVE_INFINITY,
    starting: true,
    settledAt: 0,
  };
}

/** After an answer that took `latencyMs`. */
export function afterSuccess(
  state: Concurrency,
  latencyMs: number,
  now: number,
  widest = DEFAULT_WIDEST,
): Concurrency {
  // Forgetting 1 % an answer lets the baseline follow a network that has become slower for good.
  const quickestMs = Math.min(latencyMs, state.quickestMs * 1.01);
  if (latencyMs > 3 * quickestMs + 50) return narrowed({ ...state, quickestMs }, 0.8, now, latencyMs, widest);
  const step = state.starting ? 0.5 : 1 / state.width;
  return { ...state, quickestMs, width: Math.min(widest, state.width + step) };
}

/** After a network error, a timeout or a 5xx. */
export function afterTrouble(state: Concurrency, now: number, widest = DEFAULT_WIDEST): Concurrency {
  return narrowed(state, 0.6, now, 1_000, widest);
}

function narrowed(
  state: Concurrency,
  factor: number,
  now: number,
  settleMs: number,
  widest: number,
): Concurrency {
  if (now < state.settledAt) return state;
  const width = Math.max(Math.min(NARROWEST, widest), state.width * factor);
  return { ...state, width, starting: false, settledAt: now + settleMs };
}
