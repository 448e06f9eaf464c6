/**
 * The database as the rest of the tool sees it: transactions, and nothing that outlives one. That is what makes everything
 * work the same on a server, behind a transaction-mode pooler and on the embedded database. Knows no table.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import postgres from 'postgres';
import { arrayTypes } from './array-types.js';
import { errorCode, isConnectionLost, toDatabaseError } from './errors.js';
import { searchPathOf } from './search-path.js';

/** SQL inside one transaction. */
export type Sql = postgres.TransactionSql;

/** How one statement outside of a transaction runs. */
export interface StatementOptions {
  /** Cancels the statement on the server. */
  signal?: AbortSignal | undefined;
  /** On a connection of its own and without the role's statement timeout, where the server allows that: for work that takes long. */
  session?: boolean | undefined;
}

export interface TransactionOptions {
  /** Opens the transaction READ ONLY: the server refuses any write. */
  readOnly?: boolean;
}

/** One database. Every statement runs inside `transaction`; no session state is ever relied on. */
export interface Database {
  readonly kind: 'server' | 'embedded';
  /** Where it is, for people: host, port and name, or the folder. Never a password. */
  readonly label: string;
  /** The schema of our tables that `--schema` names; null leaves that to the connection's own search_path. */
  readonly schema: string | null;
  /**
   * Runs `work` in one transaction (READ COMMITTED, whatever the role's default), committed when it resolves and rolled back when it throws. Never inside another one's
   * work: each waits for a connection of its own, which on the embedded database would be for ever (use `sql.savepoint`).
   * @throws CalendlySyncError `database_unreachable`, `database_refused`, `database_failed`; the driver's error is its cause
   */
  transaction<T>(work: (sql: Sql) => Promise<T>, options?: TransactionOptions): Promise<T>;
  /**
   * Runs one statement without a transaction around it, for what Postgres refuses inside one. The search_path is the
   * connection's own, whatever `schema` says: qualify names.
   * @throws as `transaction`
   */
  statement<Row extends object>(text: string, options?: StatementOptions): Promise<Row[]>;
  /** Ends all connections; waits up to 5 s for what is running. */
  close(): Promise<void>;
}

/** How many connections one process opens at most. */
const MAX_CONNECTIONS = 3;
const CONNECT_TIMEOUT_S = 15;
/** The largest that Postgres takes; postgres.js leaves a 0, which would mean none, out of the startup message. */
const LONGEST_STATEMENT_MS = 2_147_483_647;

/** How postgres.js talks to every database, server or embedded. */
export const clientDefaults = {
  // A pooler in transaction mode gives each transaction another backend, which does not know our statements' names.
  prepare: false,
  fetch_types: false,
  types: arrayTypes,
  max_lifetime: null,
  // Without this, NOTICEs go to stdout and break --json.
  onnotice: () => {},
};

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
export function openServer(
  url: string,
  { schema = null, ...options }: postgres.Options<Record<string, never>> & { schema?: string | null } = {},
): Database {
  const clean = new URL(url);
  for (const name of FOREIGN_PARAMETERS) clean.searchParams.delete(name);
  const settings = {
    max: MAX_CONNECTIONS,
    connect_timeout: CONNECT_TIMEOUT_S,
    ...clientDefaults,
    // A host's columns may be timestamps without a time zone: in them we write and read UTC.
    connection: { application_name: 'calendly-sync', TimeZone: 'UTC' },
    ...options,
  };
  const label = `${clean.hostname || 'localhost'}:${clean.port || 5432}${clean.pathname}`;
  const openSession = () =>
    postgres(clean.href, {
      ...settings,
      max: 1,
      connection: { ...settings.connection, statement_timeout: LONGEST_STATEMENT_MS },
    });
  return fromClient(postgres(clean.href, settings), 'server', label, { schema, openSession });
}

interface ClientOptions {
  schema?: string | null;
  /** Opens a connection without a statement timeout; absent: the client's own connections serve for everything. */
  openSession?: () => postgres.Sql;
}

/** A Database over a postgres.js client. */
export function fromClient(
  client: postgres.Sql,
  kind: Database['kind'],
  label: string,
  { schema = null, openSession }: ClientOptions = {},
): Database {
  // Only where a nested one would wait for ever: Node 20 pays for this with every promise of the process.
  const surrounding = kind === 'embedded' ? new AsyncLocalStorage<{ open: boolean }>() : null;
  const statement = (text: string, options: StatementOptions = {}) =>
    runStatement(client, options.session ? openSession : undefined, text, options.signal);
  const searchPath = schema === null ? null : searchPathOf(schema, statement);
  return {
    kind,
    label,
    schema,
    async transaction<T>(work: (sql: Sql) => Promise<T>, { readOnly = false }: TransactionOptions = {}) {
      if (surrounding?.getStore()?.open) throw new Error('a transaction was begun inside another one');
      const state = { open: true };
      try {
        const path = await searchPath?.();
        return (await client.begin(`isolation level read committed${readOnly ? ' read only' : ''}`, (sql) => {
          // Not awaited: it travels together with the first statement of `work`.
          if (path !== undefined) sql.unsafe(path).catch(() => {});
          const run = () => ignoreErrorAfterConnectionLoss(work(sql));
          return surrounding ? surrounding.run(state, run) : run();
        })) as T;
      } catch (thrown) {
        throw toDatabaseError(thrown, label);
      } finally {
        state.open = false;
      }
    },
    async statement<Row extends object>(text: string, options: StatementOptions = {}) {
      try {
        return (await statement(text, options)) as Row[];
      } catch (thrown) {
        throw toDatabaseError(thrown, label);
      }
    },
    close: () => client.end({ timeout: 5 }),
  };
}

/**
 * The work's answer, or its error. Not the error of a connection that is lost: postgres.js would answer it with a ROLLBACK on that
 * connection, whose write, a moment later, finds no socket and ends the process. It rejects the transaction by itself as soon as
 * the socket has closed.
 */
async function ignoreErrorAfterConnectionLoss<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (thrown) {
    if (isConnectionLost(thrown)) await new Promise(() => {});
    throw thrown;
  }
}

async function runStatement(
  client: postgres.Sql,
  openSession: (() => postgres.Sql) | undefined,
  text: string,
  signal: AbortSignal | undefined,
): Promise<postgres.Row[]> {
  const session = openSession?.();
  try {
    return await cancellable((session ?? client).unsafe(text), signal);
  } catch (thrown) {
    // A pooler knows no startup parameter but its own; then the role's statement timeout stays in force.
    if (!session || errorCode(thrown) !== '08P01') throw thrown;
    return await cancellable(client.unsafe(text), signal);
  } finally {
    await session?.end({ timeout: 1 });
  }
}

async function cancellable(query: postgres.PendingQuery<postgres.Row[]>, signal: AbortSignal | undefined) {
  signal?.throwIfAborted();
  const cancel = () => query.cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    return await query;
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}
