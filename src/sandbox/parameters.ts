/** Reads query parameters as Calendly checks them: all that is wrong is told in one answer. */

import { invalidArgument, type ProblemDetail } from './api-error.js';
import { CANONICAL } from './identifiers.js';
import { type Micros, parseInstant } from './microseconds.js';

/** The checks of one request's parameters. An empty value counts as absent. */
export interface Parameters {
  text(name: string): string | null;
  /** A resource URI of the kind, for example of `users`. */
  uri(name: string, kind: string): string | null;
  oneOf<Value extends string>(name: string, values: readonly Value[]): Value | null;
  email(name: string): string | null;
  instant(name: string): Micros | null;
  count(): number;
  complain(detail: ProblemDetail): void;
  /** @throws Problem 400 when anything read so far was wrong */
  check(): void;
}

/** Begins to read a query. */
export function readParameters(query: URLSearchParams): Parameters {
  const details: ProblemDetail[] = [];
  const text = (name: string) => query.get(name) || null;
  /** The value if it passes, else null and a complaint. */
  const checked = (name: string, passes: (value: string) => boolean, message: string) => {
    const value = text(name);
    if (value === null || passes(value)) return value;
    details.push({ parameter: name, message });
    return null;
  };
  return {
    text,
    uri: (name, kind) =>
      checked(
        name,
        (value) => new RegExp(`^${CANONICAL}/${kind}/[A-Za-z0-9-]+$`).test(value),
        'is not a valid URI',
      ),
    oneOf: <Value extends string>(name: string, values: readonly Value[]) =>
      checked(
        name,
        (value) => (values as readonly string[]).includes(value),
        `must be one of ${values.join(', ')}`,
      ) as Value | null,
    email: (name) => checked(name, (value) => /^[^@\s]+@[^@\s]+$/.test(value), 'is not a valid email'),
    instant(name) {
      // As in life, milliseconds are refused: what `toISOString()` makes gets a 400.
      const fits = (value: string) =>
        /Z$/.test(value) && !/\.\d{3}Z$/.test(value) && parseInstant(value) !== null;
      const value = checked(name, fits, 'is not a valid UTC time; send six fraction digits or none');
      return value === null ? null : parseInstant(value);
    },
    count() {
      const fits = (value: string) => /^\d{1,3}$/.test(value) && Number(value) >= 1 && Number(value) <= 100;
      const value = checked('count', fits, 'must be a whole number from 1 to 100');
      return value === null ? 20 : Number(value);
    },
    complain: (detail) => details.push(detail),
    check() {
      if (details.length > 0) throw invalidArgument(...details);
    },
  };
}
