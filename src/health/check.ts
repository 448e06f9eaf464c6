/** A health check: a function from the facts of one report to problems. Each file in `checks/` has one. Pure. */
import type { HostWarning } from '../migrations/schema/warnings.js';
import type { MigrationStatus } from '../migrations/status.js';
import type { WebhookState } from '../webhook/subscriptions/inspect.js';
import type { Problem } from './problem.js';
import type { UserHealth } from './status.js';
import type { TokenHealth } from './token.js';

/** The facts of one report, read once for all checks. */
export interface Facts {
  users: UserHealth[];
  migrations: MigrationStatus;
  /** What is odd about the application's own tables. */
  host: HostWarning[];
  token: TokenHealth;
  /** Null without migration 022. */
  webhooks: WebhookState | null;
}

/** Finds problems that do not belong to a single user. */
export type Check = (facts: Facts) => Problem[];
