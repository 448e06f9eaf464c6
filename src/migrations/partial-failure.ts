/** An error after some steps are done: it says what they were, so that nobody has to guess how far a command came. */
import { CalendlySyncError } from '../errors.js';

/** Thrown instead of the original error, with its code and hint, if something was done before. */
export class PartialFailure<T> extends CalendlySyncError {
  constructor(
    error: CalendlySyncError,
    /** What the command would have returned, as far as it came. */
    readonly result: T,
  ) {
    super(error.code, error.message, { hint: error.hint, cause: error.cause });
  }
}

/** The error, with the result if there is any. */
export function withResult<T>(error: unknown, result: T, done: readonly unknown[]): unknown {
  return error instanceof CalendlySyncError && done.length > 0 ? new PartialFailure(error, result) : error;
}
