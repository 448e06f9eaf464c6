/** Parsers for the flags of `sync` that name a time. Pure. */
import { InvalidArgumentError } from '@commander-js/extra-typings';

/** A day or a time as ms since 1970; without an offset it is UTC. */
export function instant(text: string): number {
  const match = /^(\d{4}-\d{2}-\d{2})(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?$/.exec(text);
  const [, day, time, , , offset] = match ?? [];
  const ms = Date.parse(time && !offset ? `${text}Z` : text);
  // Date.parse turns February 30 into March 2.
  const exists = Number.isFinite(ms) && new Date(`${day}T00:00Z`).toISOString().slice(0, 10) === day;
  if (match && exists) return ms;
  throw new InvalidArgumentError('It is not a valid date. Write 2025-01-31 or 2025-01-31T09:00Z.');
}
