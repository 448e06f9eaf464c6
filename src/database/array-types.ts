/**
 * Array types for postgres.js, by their fixed OIDs. By itself it looks them up on every new connection, and if that
 * query fails (the server is shutting down), nothing can catch the error: it would end the process.
 */
import type { PostgresType } from 'postgres';
import { parse } from 'postgres-array';

const text = (value: string) => value;
const toBoolean = (value: string) => value === 't';
const toDate = (value: string) => new Date(value);

/** How the elements of each array type are parsed, by OID. */
const ELEMENTS: [parse: (value: string) => unknown, ...oids: number[]][] = [
  [toBoolean, 1000],
  [Number, 1005, 1007, 1028], // smallint, integer, oid
  // bigint, "char", name, text, varchar, numeric, uuid
  [text, 1016, 1002, 1003, 1009, 1015, 1231, 2951],
  [toDate, 1115, 1185], // timestamp, timestamptz
  [JSON.parse, 199, 3807], // json, jsonb
];

/** For the `types` option of postgres.js, together with `fetch_types: false`. */
export const arrayTypes: Record<string, PostgresType> = Object.fromEntries(
  ELEMENTS.flatMap(([element, ...oids]) =>
    oids.map((oid) => [
      `array_${oid}`,
      { to: oid, from: [oid], serialize: serializeArray, parse: (source: string) => parse(source, element) },
    ]),
  ),
);

/** An array literal: `{"a","b",NULL}`. */
export function serializeArray(values: readonly unknown[]): string {
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
