/** Parsers for the values of flags, for commander. Pure; each throws commander's InvalidArgumentError. */
import { InvalidArgumentError } from '@commander-js/extra-typings';
import { parseDuration } from '../duration.js';
import { RESOURCE_NAMES, type ResourceName } from '../resources/names.js';

/** Users by id or e-mail: a flag that may be repeated. */
export function users(value: string, previous: string[] = []): string[] {
  if (value.trim() !== '') return [...previous, value];
  throw new InvalidArgumentError('It must be the id or e-mail of a user.');
}

/** Names of resources: a flag that may be repeated, with commas too. */
export function resource(value: string, previous: ResourceName[] = []): ResourceName[] {
  const wanted = value.split(',').map((name) => name.trim());
  const known = RESOURCE_NAMES.filter((name) => wanted.includes(name));
  if (known.length === new Set(wanted).size) return [...new Set([...previous, ...known])];
  throw new InvalidArgumentError(`It must be one of ${RESOURCE_NAMES.join(', ')}.`);
}

/** An integer from `min` to `max`, both included. */
export function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

/** A port; 0 takes a free one. */
export const port = integer(0, 65_535);

/** `PORT` on this machine only, or `HOST:PORT`. */
export function address(text: string): { host: string; port: number } {
  const [, ipv6, host = ipv6 ?? '127.0.0.1', digits = ''] =
    /^(?:(?:\[([\da-f:]+)\]|([^:[\]]+)):)?(\d+)$/i.exec(text) ?? [];
  return { host, port: port(digits) };
}

const MAX_DURATION_MS = 3_650 * 86_400_000;

/** A duration of at least `minMs`, in ms. */
export function durationFrom(minMs: number): (text: string) => number {
  return (text) => {
    const ms = parseDuration(text);
    if (ms !== null && ms >= minMs && ms <= MAX_DURATION_MS) return ms;
    throw new InvalidArgumentError('It is not a valid duration. Write 90s, 30m, 36h or 30d (max 3650d).');
  };
}

/** A duration above zero, in ms. */
export const duration = durationFrom(1);

/** An http(s) URL without credentials or fragment, without a trailing slash. */
export function httpUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  const valid = url && /^https?:$/.test(url.protocol) && !url.username && !url.password && !url.hash;
  if (valid) return text.replace(/\/+$/, '');
  throw new InvalidArgumentError('It is not a valid URL. Write one like https://hooks.example.com');
}

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

/** The same, or how long ago it is: `30d`. */
export function instantOrAge(text: string): number {
  const ageMs = parseDuration(text);
  return ageMs === null ? instant(text) : Date.now() - ageMs;
}

/** A day, or a time without an offset: it is in the time zone of what is shown. */
export function localTime(text: string): string {
  if (!/(Z|[+-]\d{2}:\d{2})$/.test(text.slice(10))) instant(text);
  else throw new InvalidArgumentError('It must have no offset: write 2025-01-31T09:00, and --timezone.');
  return text;
}

/** A column of a table, as in `users:email`. */
export function tableColumn(text: string): { table: string; column: string } {
  const [, table, column] = /^([^:]+):([^:]+)$/.exec(text) ?? [];
  if (table && column) return { table, column };
  throw new InvalidArgumentError('It must be TABLE:COLUMN, as in users:email.');
}
