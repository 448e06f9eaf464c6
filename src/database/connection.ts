/**
 * The database as the rest of the tool sees it: transactions, and nothing that outlives one. That is what makes
 * everything work the same on a server, behind a transaction-mode pooler and on the embedded database. Knows no
 * table.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import postgres from 'postgres';
import { parseExact, stringifyExact } from '../exact-json.js';
import { arrayTypes } from './array-types.js';
import { connectionOptions } from './connection-options.js';
import { toDatabaseError } from './errors.js';
import type { Build } from './literal-sql.js';
import { createPool, isDirect, type Pool, type PoolOptions } from './pool.js';
import { searchPathOf } from './search-path.js';
import { runStatement, runTransaction, type Sql, type TransactionOptions } from './transaction.js';

export type { Sql, TransactionOptions };

/** How one statement outside of a transaction runs. */
export interface StatementOptions {
  /** Cancels the statement on the server. */
  signal?: AbortSignal | undefined;
  /** On a connection of its own, and without the role's timeouts where there is no pooler: for work that takes long. */
  session?: boolean | undefined;
}

/** One database. Every statement runs inside `transaction`; no session state is ever relied on. */
export interface Database {
  readonly kind: 'server' | 'embedded';
  /** Where it is, for people: host, port and name, or the folder. Never a password. */
  readonly label: string;
  /** The schema of our tables that `--schema` names; null leaves that to the connection's own search_path. */
  readonly schema: string | null;
  /**
   * Runs `work` in one transaction (READ COMMITTED, whatever the role's default), committed when it resolves and
   * rolled back when it throws. Rejects as soon as the connection is lost; what `work` still sends is refused then.
   * Never call it inside the work of another one: each waits for a connection of its own, on the embedded database
   * forever (use `sql.savepoint`).
   * @throws CalendlySyncError `database_unreachable`, `database_refused`, `database_failed`; the driver's error is
   * its cause
   */
  transaction<T>(work: (sql: Sql) => Promise<T>, options?: TransactionOptions): Promise<T>;
  /**
   * Runs one statement in a transaction of its own, in one round trip instead of three.
   * @throws as `transaction`
   */
  query<Row extends object>(build: Build<Row>): Promise<Row[]>;
  /**
   * Runs one statement without a transaction around it, for what Postgres refuses inside one. The search_path is the
   * connection's own, whatever `schema` says: qualify names.
   * @throws as `transaction`
   */
  statement<Row extends object>(text: string, options?: StatementOptions): Promise<Row[]>;
  /** Ends all connections; waits up to 5 s for what is running. */
  close(): Promise<void>;
}

type DriverOptions = postgres.Options<Record<string, never>>;

/** How postgres.js talks to every database, server or embedded. */
export const clientDefaults = {
  // More connections are more clients, see pool.ts.
  max: 1,
  prepare: false,
  fetch_types: false,
  types: {
    ...arrayTypes,
    json: { to: 114, from: [114, 3802], serialize: stringifyExact, parse: parseExact },
  },
  max_lifetime: null,
  // Without this, NOTICEs go to stdout and break --json.
  onnotice: () => {},
};

/** Options of the pool, and more for postgres.js. */
export interface ServerOptions
  extends Omit<DriverOptions, 'onclose' | 'max' | 'prepare'>,
    Partial<PoolOptions> {
  schema?: string | null;
}

/**
 * Opens a Postgres server. Connects with the first transaction, not here.
 * @param url checked by `loadConfig`
 */
export function openServer(
  url: string,
  { schema = null, prepare = false, max = 3, maxAgeMs, ...options }: ServerOptions = {},
): Database {
  const { options: server, label } = connectionOptions(url);
  const settings = {
    connect_timeout: 15,
    ...clientDefaults,
    // The types of postgres.js lack the arrays of hosts and ports that it accepts.
    ...(server as unknown as DriverOptions),
    // A host's columns may be timestamps without a time zone: in them we write and read UTC.
    connection: { application_name: 'calendly-sync', ...server.connection, TimeZone: 'UTC' },
    ...options,
  };
  const pool = createPool((prepared, onclose) => postgres({ ...settings, prepare: prepared, onclose }), {
    max,
    prepare,
    ...(maxAgeMs === undefined ? {} : { maxAgeMs }),
  });
  return createDatabase(pool, { kind: 'server', label, schema, openSession: () => postgres(settings) });
}

interface DatabaseParts extends Pick<Database, 'kind' | 'label' | 'schema'> {
  /** Opens a connection outside of the pool; absent: the pool's own serve for everything. */
  openSession?: () => postgres.Sql;
}

/** A Database on a pool of connections. */
export function createDatabase(pool: Pool, { kind, label, schema, openSession }: DatabaseParts): Database {
  // Only where a nested transaction would wait forever: on Node 20 this costs time for every promise of the process.
  const surrounding = kind === 'embedded' ? new AsyncLocalStorage<{ open: boolean }>() : null;
  const statement = (text: string, { session, signal }: StatementOptions = {}): Promise<postgres.Row[]> =>
    session && openSession
      ? runInSession(openSession(), text, signal)
      : pool.run((client) => cancellable(client.unsafe(text), signal));
  // The embedded database has no network that could swallow a connection, and no other connection.
  const deadlineOf = ({ deadlineMs }: TransactionOptions) => (kind === 'server' ? deadlineMs : undefined);
  const searchPath = schema === null ? null : searchPathOf(schema, statement);
  return {
    kind,
    label,
    schema,
    async transaction<T>(work: (sql: Sql) => Promise<T>, options: TransactionOptions = {}) {
      if (surrounding?.getStore()?.open) throw new Error('a transaction was begun inside another one');
      const state = { open: true };
      try {
        const path = (await searchPath?.()) ?? null;
        return await pool.run((client) => {
          const run = () => runTransaction(client, work, options, path);
          return surrounding ? surrounding.run(state, run) : run();
        }, deadlineOf(options));
      } catch (error) {
        throw toDatabaseError(error, label);
      } finally {
        state.open = false;
      }
    },
    async query<Row extends object>(build: Build<Row>) {
      try {
        const path = (await searchPath?.()) ?? null;
        return await pool.run((client) => runStatement(client, build, path));
      } catch (error) {
        throw toDatabaseError(error, label);
      }
    },
    async statement<Row extends object>(text: string, options?: StatementOptions) {
      try {
        return (await statement(text, options)) as Row[];
      } catch (error) {
        throw toDatabaseError(error, label);
      }
    },
    close: () => pool.end(),
  };
}

/**
 * Runs a statement on a connection of its own. Behind a pooler the timeouts of the role stay in force: others would
 * inherit ours.
 */
async function runInSession(session: postgres.Sql, text: string, signal: AbortSignal | undefined) {
  try {
    if (await isDirect(session)) {
      await session.unsafe(`
        select set_config(name, '0', false) from pg_settings
        where name in ('statement_timeout', 'transaction_timeout')`);
    }
    return await cancellable(session.unsafe(text), signal);
  } finally {
    await session.end({ timeout: 1 });
  }
}

async function cancellable(query: postgres.PendingQuery<postgres.Row[]>, signal: AbortSignal | undefined) {
  signal?.throwIfAborted();
  // What `query.cancel` does, which drops a promise that rejects if the server cannot be reached.
  const { canceller } = query as typeof query & { canceller(running: typeof query): Promise<void> };
  const cancel = () => canceller(query).catch(() => {});
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    return await query;
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}
