/**
 * The database as the rest of the tool sees it: transactions, and nothing that outlives one. That is what makes everything
 * work the same on a server, behind a transaction-mode pooler and on the embedded database. Knows no table.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import postgres from 'postgres';
import { databaseFailure } from './failures.js';

/** SQL inside one transaction. */
export type Sql = postgres.TransactionSql;

export interface TransactionOptions {
  /** Opens the transaction READ ONLY: the server refuses any write. */
  readOnly?: boolean;
}

/** One database. Every statement runs inside `transaction`; no session state is ever relied on. */
export interface Database {
  readonly kind: 'server' | 'embedded';
  /** Where it is, for people: host, port and name, or the folder. Never a password. */
  readonly label: string;
  /**
   * Runs `work` in one transaction, committed when it resolves and rolled back when it throws. Never inside another one's
   * work: each waits for a connection of its own, which on the embedded database would be for ever (use `sql.savepoint`).
   * @throws CalendlySyncError `database_unreachable`, `database_refused`, `database_failed`; the driver's error is its cause
   */
  transaction<T>(work: (sql: Sql) => Promise<T>, options?: TransactionOptions): Promise<T>;
  /** Ends all connections; waits up to 5 s for what is running. */
  close(): Promise<void>;
}

/** How many connections one process opens at most. */
const MAX_CONNECTIONS = 3;
const CONNECT_TIMEOUT_S = 15;

// What other tools put into a URL for themselves; sent on, Postgres would refuse it as an unknown parameter (42704).
const FOREIGN_PARAMETERS = [
  'pgbouncer',
  'connection_limit',
  'pool_timeout',
  'schema',
  'statement_cache_size',
];

/**
 * Opens a Postgres server. Connects with the first transaction, not here.
 * @param url checked by `loadConfig`
 * @param options more for postgres.js; the embedded database brings its own socket
 */
export function openServer(url: string, options: postgres.Options<Record<string, never>> = {}): Database {
  const clean = new URL(url);
  for (const name of FOREIGN_PARAMETERS) clean.searchParams.delete(name);
  const client = postgres(clean.href, {
    max: MAX_CONNECTIONS,
    connect_timeout: CONNECT_TIMEOUT_S,
    // A pooler in transaction mode gives each transaction another backend, which does not know our statements' names.
    prepare: false,
    max_lifetime: null,
    // Without this, NOTICEs go to stdout and break --json.
    onnotice: () => {},
    connection: { application_name: 'calendly-sync' },
    ...options,
  });
  const label = `${clean.hostname || 'localhost'}:${clean.port || 5432}${clean.pathname}`;
  return fromClient(client, 'server', label);
}

/** A Database over a postgres.js client. */
export function fromClient(client: postgres.Sql, kind: Database['kind'], label: string): Database {
  const surrounding = new AsyncLocalStorage<{ open: boolean }>();
  return {
    kind,
    label,
    async transaction<T>(work: (sql: Sql) => Promise<T>, { readOnly = false }: TransactionOptions = {}) {
      if (surrounding.getStore()?.open) throw new Error('a transaction was begun inside another one');
      const state = { open: true };
      try {
        return (await client.begin(readOnly ? 'read only' : '', (sql) =>
          surrounding.run(state, () => work(sql)),
        )) as T;
      } catch (thrown) {
        throw databaseFailure(thrown, label);
      } finally {
        state.open = false;
      }
    },
    close: () => client.end({ timeout: 5 }),
  };
}
