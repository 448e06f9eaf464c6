/**
 * Postgres arrays for postgres.js, by their fixed type numbers. Its own way is a query on every new connection, whose failure
 * (a server that shuts down just then) nobody can catch: it would end the process.
 */
import { parse } from 'postgres-array';

/** One type of postgres.js's `types` option. */
export interface ArrayType {
  to: number;
  from: number[];
  serialize(values: readonly unknown[]): string;
  parse(text: string): unknown;
}

const text = (value: string) => value;
const toBoolean = (value: string) => value === 't';
const toDate = (value: string) => new Date(value);

/** Number of each array type in the system catalogue, and what its elements become. */
const ELEMENTS: [number, (value: string) => unknown][] = [
  [1000, toBoolean],
  [1005, Number], // smallint
  [1007, Number], // integer
  [1016, text], // bigint
  [1028, Number], // oid
  [1002, text], // "char"
  [1003, text], // name
  [1009, text],
  [1015, text], // varchar
  [1231, text], // numeric
  [2951, text], // uuid
  [1115, toDate], // timestamp
  [1185, toDate], // timestamptz
  [199, JSON.parse],
  [3807, JSON.parse], // jsonb
];

/** For the `types` option of postgres.js, together with `fetch_types: false`. */
export const arrayTypes: Record<string, ArrayType> = Object.fromEntries(
  ELEMENTS.map(([number, element]) => [
    `array_${number}`,
    {
      to: number,
      from: [number],
      serialize: serializeArray,
      parse: (source: string) => parse(source, element),
    },
  ]),
);

/** An array as Postgres reads it: `{"a","b",NULL}`. */
function serializeArray(values: readonly unknown[]): string {
  return `{${values.map(serializeElement).join(',')}}`;
}

function serializeElement(value: unknown): string {
  if (value === null || value === undefined) return 'NULL';
  if (Array.isArray(value)) return serializeArray(value);
  const plain =
    value instanceof Date
      ? value.toISOString()
      : typeof value === 'object'
        ? JSON.stringify(value)
        : String(value);
  return `"${plain.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
