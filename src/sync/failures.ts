/** Events that fail in a run: when they end it, and how they are reported. Pure but for the clock that is passed in. */
import { concernsAccount } from '../calendly/errors.js';
import { CalendlySyncError } from '../errors.js';
import { externalId } from '../resources/meetings/rows.js';

/** An event that could not be read or stored. */
export interface FailedEvent {
  uri: string;
  message: string;
}

/** After so many events in a row without a response from Calendly, the others would fail too. */
const MAX_UNANSWERED = 4;
/**
 * After so many events that fail for the first time, for one reason, while none succeeds, the others would fail too. Those
 * that failed in earlier runs say nothing of the others.
 */
const MAX_EQUAL_FAILURES = 10;

export interface FailureCheck {
  /** Calendly answered for an event. */
  succeeded(): void;
  /** The error to end the run with, if the other events would fail like this one; else null. */
  failed(
    error: CalendlySyncError,
    event: { uri: string; failures?: number },
    startedAt: number,
  ): Error | null;
}

/** Watches the failures of one run. @param now a monotonic clock, in ms */
export function createFailureCheck(now: () => number): FailureCheck {
  let unanswered = 0;
  let lastSuccess: number | null = null;
  const failures = new Map<string, number>();
  return {
    succeeded() {
      unanswered = 0;
      lastSuccess = now();
    },
    failed(error, { uri, failures: before = 0 }, startedAt) {
      // Retries make a failing event end long after others that began later and succeeded.
      const isLate = lastSuccess !== null && startedAt <= lastSuccess;
      if (error.code === 'calendly_unreachable' && !isLate && ++unanswered >= MAX_UNANSWERED) return error;
      if (before > 0) return null;
      const reason = generalReason({ uri, message: error.message });
      const equal = (failures.get(reason) ?? 0) + 1;
      failures.set(reason, equal);
      if (lastSuccess !== null || equal < MAX_EQUAL_FAILURES) return null;
      const message = `All of the first ${equal} meetings failed for the same reason: ${reason}`;
      return new CalendlySyncError(error.code, message, { hint: error.hint, cause: error });
    },
  };
}

/** True for a failure that concerns one event only; false for one that every event would meet. */
export function isEventSpecific(error: unknown): error is CalendlySyncError {
  return error instanceof CalendlySyncError && error.code.startsWith('calendly_') && !concernsAccount(error);
}

/** The error of a run in which some events failed. */
export function incomplete(failed: FailedEvent[], total: number): CalendlySyncError {
  const uris = failed.map(({ uri }) => uri);
  const some = `${uris.slice(0, 3).join(', ')}${uris.length > 3 ? ', …' : ''}`;
  const times = new Map<string, number>();
  for (const event of failed) times.set(generalReason(event), (times.get(generalReason(event)) ?? 0) + 1);
  const [reason] = [...times].sort(([, a], [, b]) => b - a)[0] ?? [''];
  const others = failed.length < total ? 'The others are stored. ' : '';
  return new CalendlySyncError(
    'incomplete',
    `${failed.length} of ${Math.max(total, failed.length)} meetings could not be brought up to date: ${some}` +
      `\n${times.size > 1 ? 'The most frequent reason' : 'The reason'}: ${reason}`,
    { hint: `${others}The next sync tries these again.` },
  );
}

/** The reason of a failure without the event's ID, so that equal reasons can be counted. */
function generalReason({ uri, message }: FailedEvent): string {
  return message.replaceAll(externalId(uri), 'ID');
}
