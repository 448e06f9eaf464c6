/**
 * What a table of Calendly's resources is: its columns, where in the JSON each of them comes from, and whose a row is.
 * Pure: knows no SQL and no HTTP. What is odd becomes null; `raw` keeps it.
 */
import { canonicalTimestamp } from '../calendly/timestamps.js';
import { type Columns, columns, isJson, type Json } from '../database/table.js';
import type { Absence, ResourceRow } from '../database/tables/resources.js';
import { addressesIn, type Erased, forget } from './meetings/forget.js';

export interface ResourceTable {
  table: string;
  columns: Columns;
  /** Where a column's value is, if not in the field with its name: `user.email`, or a function. */
  from: Readonly<Record<string, string | ((raw: Json) => unknown)>>;
  /** What happens to a row that a complete listing lacks; null: nothing. */
  absence: Absence | null;
  /** The part of the JSON that holds the addresses of the person whom a row is about. */
  person?: (raw: Json) => unknown;
  /** Fields that stay of a row whose person was erased; without them, the row goes. */
  kept?: readonly string[];
}

type Types = Columns['types'];

/** Describes a table. `uri` and `raw` are added. */
export function resourceTable({
  columns: types,
  ...rest
}: Omit<ResourceTable, 'columns'> & { columns: Types }): ResourceTable {
  return { ...rest, columns: columns({ uri: 'text not null', ...types, raw: 'jsonb object' }) };
}

/** JSON of a resource; null without a URI, because it cannot be stored. */
export function asResource(raw: unknown): (Json & { uri: string }) | null {
  return isJson(raw) && typeof raw.uri === 'string' && raw.uri !== ''
    ? (raw as Json & { uri: string })
    : null;
}

/** The row of a resource. */
export function rowOf({ columns: { types }, from }: ResourceTable, raw: Json & { uri: string }): ResourceRow {
  const values = Object.entries(types).map(([name, type]) => {
    const where = from[name] ?? name;
    const found = typeof where === 'function' ? where(raw) : valueAt(raw, where);
    return [name, VALUES[type.split(' ')[0] ?? '']?.(found) ?? null];
  });
  return { ...Object.fromEntries(values), uri: raw.uri, raw };
}

function valueAt(raw: Json, path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => (isJson(value) ? value[key] : undefined), raw);
}

const isInteger = (value: unknown) => Number.isInteger(value) && Math.abs(Number(value)) < 2 ** 31;

/** How a value is stored; null if it is of another type. */
const VALUES: Readonly<Record<string, (value: unknown) => unknown>> = {
  text: (value) => (typeof value === 'string' ? value : null),
  boolean: (value) => (typeof value === 'boolean' ? value : null),
  integer: (value) => (isInteger(value) ? value : null),
  'integer[]': (value) => (Array.isArray(value) && value.every(isInteger) ? value : null),
  timestamptz: (value) => (typeof value === 'string' ? canonicalTimestamp(value) : null),
  jsonb: (value) => value,
};

/** A resource without people who were erased; null if nothing of it may be stored. */
export function forgetInResource<R extends Json>(
  { person, kept }: ResourceTable,
  raw: R,
  erased: Erased,
): R | null {
  if (erased.size === 0) return raw;
  const isTheirs = [...addressesIn(person?.(raw))].some((address) => erased.has(address));
  if (!isTheirs) return forget(raw, erased) as R;
  if (!kept) return null;
  return {
    ...Object.fromEntries(kept.flatMap((key) => (key in raw ? [[key, raw[key]]] : []))),
    erased: true,
  } as unknown as R;
}
