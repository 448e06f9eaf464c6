/**
 * What a health check is: a function from the facts of one report to problems. Checks live in `checks/`, one topic
 * per file.
 */
import type { Database } from '../database/connection.js';
import type { MigrationStatus } from '../migrations/status.js';
import type { WebhookState } from '../webhook/subscriptions/inspect.js';
import type { Problem } from './problem.js';
import type { UserHealth } from './status.js';

/** The facts of one report, read once for all checks. */
export interface CheckContext {
  database: Database;
  users: UserHealth[];
  migrations: MigrationStatus;
  /** Null without migration 022. */
  webhooks: WebhookState | null;
}

export interface Check {
  id: string;
  /** Finds problems that do not belong to a single user. */
  run(context: CheckContext): Promise<Problem[]>;
}
