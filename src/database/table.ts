/**
 * Describes the columns of a table, or of rows that are sent to a statement, once: the row type, the column lists and
 * the form in which rows travel derive from it. Knows no table.
 */
import { stringifyExact } from '../exact-json.js';
import type { Sql } from './connection.js';
import { ROWS_MISSING } from './errors.js';
import { quoteName } from './search-path.js';

/** A JSON object. */
export type Json = Record<string, unknown>;

export function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What a value of each type is in JavaScript. The first word is the type in SQL. */
interface Values {
  text: string;
  'text[]': string[];
  'integer[]': number[];
  bigint: string;
  integer: number;
  boolean: boolean;
  /** Canonical text, see `utcText`. */
  timestamptz: string;
  jsonb: unknown;
  'jsonb object': Json;
  'jsonb array': unknown[];
}

type Type = keyof Values;
type Column = Type | `${Type} not null`;
type Types = Readonly<Record<string, Column>>;
type ValueOf<C> = C extends `${infer T extends Type} not null`
  ? Values[T]
  : C extends Type
    ? Values[C] | null
    : never;

/** The row that columns describe. A column may be null unless it says `not null`. */
export type RowOf<C extends Columns> = { -readonly [Name in keyof C['types']]: ValueOf<C['types'][Name]> };

/** Columns, and the pieces of SQL that derive from them; insert those with `sql.unsafe`. */
export interface Columns<T extends Types = Types> {
  /** The columns as they were given, to build wider ones from. */
  types: T;
  /** `"a", "b"` */
  names: string;
  /** `x."a", x."b"`; with a prefix `i.`: `x."i.a", x."i.b"` */
  from(alias: string, prefix?: string): string;
  /** `from`, but timestamps as canonical text, and numbers as numbers whatever type a host's column has. */
  select(alias: string): string;
  /** `"a" = x."a", "b" = x."b"` without the columns of the key. */
  assign(alias: string, ...key: (keyof T)[]): string;
  /** `"a" text, "b" jsonb` */
  record: string;
  /** The columns of type jsonb. */
  documents: string[];
  /** `record` with a prefix, and without the columns of type jsonb. */
  scalars(prefix?: string): string;
  /** The columns of type jsonb as parts of a JSON document, `raw` as the document itself. */
  partsOf(document: string, prefix?: string): string;
}

/** Describes columns, in the order given. */
export function columns<const T extends Types>(types: T): Columns<T> {
  const all = Object.entries(types).map(([name, column]) => ({
    name,
    quoted: quoteName(name),
    type: column.split(' ')[0] ?? column,
  }));
  const list = (piece: (column: (typeof all)[number]) => string, some = all) => some.map(piece).join(', ');
  const documents = all.filter(({ type }) => type === 'jsonb');
  return {
    types,
    names: list(({ quoted }) => quoted),
    from: (alias, prefix = '') => list(({ name }) => `${alias}.${quoteName(prefix + name)}`),
    select: (alias) =>
      list(({ quoted, type }) => {
        const value = `${alias}.${quoted}`;
        if (type === 'timestamptz') return `${utcText(value)} as ${quoted}`;
        return type === 'integer' ? `${value}::integer as ${quoted}` : value;
      }),
    assign: (alias, ...key) =>
      all
        .filter(({ name }) => !key.includes(name))
        .map(({ quoted }) => `${quoted} = ${alias}.${quoted}`)
        .join(', '),
    record: list(({ quoted, type }) => `${quoted} ${type}`),
    documents: documents.map(({ name }) => name),
    scalars: (prefix = '') =>
      list(
        ({ name, type }) => `${quoteName(prefix + name)} ${type}`,
        all.filter((column) => !documents.includes(column)),
      ),
    partsOf: (document, prefix = '') =>
      list(({ name }) => {
        const part = name === 'raw' ? document : `nullif(${document} -> '${name}', 'null')`;
        return `${part} as ${quoteName(prefix + name)}`;
      }, documents),
  };
}

/** A timestamp as canonical text, UTC with six digits: a JavaScript Date would lose the microseconds. */
export function utcText(expression: string): string {
  return `to_char(${expression} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
}

/** Rows as a table `x` in FROM: one parameter, however many rows. */
export function rowsAsX<C extends Columns>(sql: Sql, { record }: C, rows: readonly RowOf<C>[]) {
  return sql`jsonb_to_recordset(${stringifyExact(rows)}::text::jsonb) as x(${sql.unsafe(record)})`;
}

/**
 * A condition that holds or makes its statement fail (`isIncomplete`): whether a part of the statement has returned as
 * many rows as expected. For a statement that COMMIT follows before its result is known.
 */
export function hasReturned(sql: Sql, part: string, rows: number) {
  // What is no boolean fails with this text in its message.
  return sql`(case when (select count(*) from ${sql.unsafe(part)}) = ${rows}
    then 'true' else '${sql.unsafe(ROWS_MISSING)}' end)::boolean`;
}
