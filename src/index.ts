/** The public library: what a program may import. */
export type { Config, ConfigFlags, Environment } from './config.js';
export { loadConfig } from './config.js';
export type { Database, Sql, TransactionOptions } from './database/connection.js';
export { openServer } from './database/connection.js';
export type { MigrateOptions, MigrateResult } from './database/migrations/migrate.js';
export { migrate } from './database/migrations/migrate.js';
export { openDatabase } from './database/open.js';
export type { ErrorCode, ErrorReport } from './errors.js';
export { CalendlySyncError, ERROR_CODES } from './errors.js';
export { readOneMeeting } from './sync/one-meeting.js';
export type { Counts, OnSyncEvent, SyncEvent, UserResult } from './sync/report.js';
export type { SyncOptions, SyncResult } from './sync/sync.js';
export { markForFull, sync } from './sync/sync.js';
