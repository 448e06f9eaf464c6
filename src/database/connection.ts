/**
 * The database as the rest of the tool sees it: transactions, and nothing that outlives one. That is what makes
 * everything work the same on a server, behind a transaction-mode pooler and on the embedded database. Knows no
 * table.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { connect, type Socket } from 'node:net';
import postgres from 'postgres';
import { CalendlySyncError } from '../errors.js';
import { parseExact, stringifyExact } from '../exact-json.js';
import { arrayTypes } from './array-types.js';
import { connectionOptions } from './connection-options.js';
import { isHiddenRows, isSessionLost, sqlState, toDatabaseError } from './errors.js';
import { type Build, quoteText } from './literal-sql.js';
import { createPool, type Pool, type PoolOptions } from './pool.js';
import { permissionHint } from './row-security.js';
import { searchPathOf } from './search-path.js';
import {
  runStatement,
  runTransaction,
  type Sql,
  sessionSettings,
  type TransactionOptions,
  type WaitLimits,
} from './transaction.js';

export type { Sql, TransactionOptions, WaitLimits };

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
   * Runs one statement in a transaction of its own, in one round trip instead of three. One with `limits` runs on a
   * connection that has these limits already, and stays prepared, where there is no pooler. Use the same limits always.
   * @throws as `transaction`
   */
  query<Row extends object>(
    build: Build<Row>,
    options?: Omit<TransactionOptions, 'readOnly'>,
  ): Promise<Row[]>;
  /**
   * Runs one statement without a transaction around it, for what Postgres refuses inside one. The search_path is the
   * connection's own, whatever `schema` says: qualify names.
   * @throws as `transaction`
   */
  statement<Row extends object>(text: string): Promise<Row[]>;
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

/** With `prepare`: connections, besides the others, for single statements with limits. */
const MAX_STATEMENTS = 2;

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
    ...(server.path === undefined ? { socket: socketsTo(server) } : {}),
    // A host's columns may be timestamps without a time zone: in them we write and read UTC.
    connection: { application_name: 'calendly-sync', ...server.connection, TimeZone: 'UTC' },
    ...options,
  };
  const poolOf = (size: number) =>
    createPool((prepared, onclose) => postgres({ ...settings, prepare: prepared, onclose }), {
      max: size,
      prepare,
      ...(maxAgeMs === undefined ? {} : { maxAgeMs }),
    });
  const limited = prepare ? poolOf(MAX_STATEMENTS) : undefined;
  return createDatabase(poolOf(max), { kind: 'server', label, schema }, limited);
}

/**
 * Opens a socket to each host in turn, as postgres.js does, but with TCP_NODELAY: without it, what is sent behind a
 * statement waits until that is acknowledged.
 */
function socketsTo({ host, port }: { host: string[]; port: number[] }): () => Socket {
  let next = 0;
  return () => {
    const index = next++ % host.length;
    const target = { host: host[index] ?? 'localhost', port: port[index] ?? 5432 };
    // postgres.js reads the name that a certificate must have from the socket.
    return Object.assign(connect({ ...target, noDelay: true }), target);
  };
}

/**
 * A Database on a pool of connections.
 * @param limited the connections for single statements with limits
 */
export function createDatabase(
  pool: Pool,
  { kind, label, schema }: Pick<Database, 'kind' | 'label' | 'schema'>,
  limited = pool,
): Database {
  // Only where a nested transaction would wait forever: on Node 20 this costs time for every promise of the process.
  const surrounding = kind === 'embedded' ? new AsyncLocalStorage<{ open: boolean }>() : null;
  const statement = (text: string): Promise<postgres.Row[]> => pool.run((client) => client.unsafe(text));
  // The embedded database has no network that could swallow a connection, and no other connection.
  const deadlineOf = ({ deadlineMs }: TransactionOptions) => (kind === 'server' ? deadlineMs : undefined);
  const searchPath = schema === null ? null : searchPathOf(schema, statement);
  /** Clients whose sessions have their settings. */
  const configured = new WeakSet<postgres.Sql>();
  async function runLimited<Row extends object>(client: postgres.Sql, build: Build<Row>, limits: WaitLimits) {
    if (!configured.has(client)) {
      await client.unsafe(sessionSettings(limits, (await searchPath?.(false)) ?? null));
      configured.add(client);
    }
    return build(client);
  }
  /** An error of the driver, explained; where a right is missing, with the names of role and owner. */
  const explained = async (cause: unknown): Promise<unknown> => {
    // What one pool has lost, the other one has most likely lost too.
    if (isSessionLost(cause) || sqlState(cause) === 'CONNECTION_TIMEOUT') {
      for (const each of new Set([pool, limited])) each.renew();
    }
    const error = toDatabaseError(cause, label);
    if (!(error instanceof CalendlySyncError) || sqlState(error) !== '42501') return error;
    const hint = await permissionHint(statement, schema, isHiddenRows(error)).catch(() => null);
    return new CalendlySyncError(error.code, error.message, { hint: hint ?? error.hint, cause: error.cause });
  };
  return {
    kind,
    label,
    schema,
    async transaction<T>(work: (sql: Sql) => Promise<T>, options: TransactionOptions = {}) {
      if (surrounding?.getStore()?.open) throw new Error('a transaction was begun inside another one');
      const state = { open: true };
      try {
        const path =
          options.searchPath === undefined
            ? ((await searchPath?.()) ?? null)
            : `select set_config('search_path', ${quoteText(options.searchPath)}, true)`;
        return await pool.run((client) => {
          const run = () => runTransaction(client, work, options, path);
          return surrounding ? surrounding.run(state, run) : run();
        }, deadlineOf(options));
      } catch (error) {
        throw await explained(error);
      } finally {
        state.open = false;
      }
    },
    async query<Row extends object>(build: Build<Row>, options: TransactionOptions = {}) {
      try {
        const path = (await searchPath?.()) ?? null;
        const { limits } = options;
        return await (limits ? limited : pool).run(
          (client): Promise<Row[]> =>
            limits && client.options.prepare
              ? runLimited(client, build, limits)
              : runStatement(client, build, options, path),
          deadlineOf(options),
        );
      } catch (error) {
        throw await explained(error);
      }
    },
    async statement<Row extends object>(text: string) {
      try {
        return (await statement(text)) as Row[];
      } catch (error) {
        throw await explained(error);
      }
    },
    close: async () => void (await Promise.all([pool.end(), limited.end()])),
  };
}
