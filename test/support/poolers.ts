/** The transaction-mode poolers to test with: our own, and PgBouncer if it is installed. */
import { findPgbouncer, startPgbouncer } from './pgbouncer.js';
import { startPooler } from './pooler.js';

const pgbouncer = findPgbouncer();
export const poolers = [
  { name: 'a transaction-mode pooler', start: startPooler },
  ...(pgbouncer === null
    ? []
    : [{ name: 'PgBouncer', start: (url: string, size: number) => startPgbouncer(pgbouncer, url, size) }]),
];
