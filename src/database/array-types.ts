/**
 * Array types for postgres.js, by their fixed OIDs. By itself it looks them up on every new connection, and if that
 * query fails (the server is shutting down), nothing can catch the error: it would end the process.
 */
import type { PostgresType } from 'postgres';
import { parse } from 'postgres-array';

const text = (value: string) => value;
const toBoolean = (value: string) => value === 't';
const toDate = (value: string) => new Date(value);

/** The OID of each array type, and how to parse its elements. */
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
export const arrayTypes: Record<string, PostgresType> = Object.fromEntries(
  ELEMENTS.map(([oid, element]) => [
    `array_${oid}`,
    {
      to: oid,
      from: [oid],
      serialize: serializeArray,
      parse: (source: string) => parse(source, element),
    },
  ]),
);

/** An array literal: `{"a","b",NULL}`. */
function serializeArray(values: readonly unknown[]): string {
  return `{${values.map(serializeElement).join(',')}}`;
}

function serializeElement(value: unknown): string {
  if (value === null || value === undefined) return 'NULL';
  if (Array.isArray(value)) return serializeArray(value);
  const text =
    value instanceof Date
      ? value.toISOString()
      : typeof value === 'object'
        ? JSON.stringify(value)
        : String(value);
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
