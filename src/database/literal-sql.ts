/**
 * SQL as text, with its values as literals. Such a statement is one message and takes one round trip: with parameters,
 * postgres.js first asks the server for their types. Knows no connection.
 */
import type postgres from 'postgres';
import { serializeArray } from './array-types.js';

/** Builds a statement and does not send it. Its values are strings, numbers, booleans, dates, arrays of these, or null. */
export type Build<Row extends object> = (sql: postgres.ISql) => postgres.PendingQuery<Row[]>;

/** What the tag below returns in place of a query of postgres.js. */
interface Fragment {
  literal: string;
}

function tag(strings: TemplateStringsArray, ...values: unknown[]): Fragment {
  const literal = strings.reduce((text, part, index) => text + literalOf(values[index - 1]) + part);
  return { literal };
}

const literalSql = Object.assign(tag, { unsafe: (literal: string): Fragment => ({ literal }) });

/** The text of a statement. */
export function textOf<Row extends object>(build: Build<Row>): string {
  // It builds with the only two things that a `Build` uses.
  const built: unknown = build(literalSql as unknown as postgres.ISql);
  return (built as Fragment).literal;
}

/** A client whose statements have their values in their text, so that they are sent one behind the other. */
export function withLiterals(client: postgres.Sql): postgres.Sql {
  const unsafe = (literal: string) => Object.assign(client.unsafe(literal), { literal });
  const literalTag: typeof tag = (strings, ...values) => unsafe(tag(strings, ...values).literal);
  return Object.assign(literalTag, { unsafe }) as unknown as postgres.Sql;
}

function literalOf(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (typeof value === 'boolean') return String(value);
  if (value instanceof Date) return `${quoteText(value.toISOString())}::timestamptz`;
  if (Array.isArray(value)) return quoteText(serializeArray(value));
  if (typeof value === 'object') return (value as Fragment).literal;
  return quoteText(String(value));
}

/** Quotes a text for use in SQL, whatever `standard_conforming_strings` says. Postgres stores no U+0000. */
export function quoteText(text: string): string {
  const quoted = `'${text.replaceAll('\0', '\ufffd').replaceAll("'", "''")}'`;
  return text.includes('\\') ? `E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}
