/** The public library: everything that a program may import, by name. */
export type { CalendlyClient, ClientOptions } from './calendly/client.js';
export { createCalendlyClient } from './calendly/client.js';
export type { HttpAttempt } from './calendly/http.js';
export type { ProxySettings } from './calendly/proxy.js';
export type { HttpRequest, HttpResponse, HttpTransport } from './calendly/transport.js';
export type { Config, ConfigFlags, Environment } from './config.js';
export { loadConfig } from './config.js';
export type { Database, Sql, TransactionOptions } from './database/connection.js';
export { openServer } from './database/connection.js';
export type { WebhookEventCount } from './database/tables/health-queries.js';
export type { SyncException } from './database/tables/pending-events.js';
export type { UserId } from './database/user-id.js';
export type { ErrorCode, ErrorReport } from './errors.js';
export { CalendlySyncError, ERROR_CODES } from './errors.js';
export type { Problem, ProblemCode } from './health/problem.js';
export { prometheusText } from './health/prometheus.js';
export type { HealthOptions, HealthReport } from './health/report.js';
export { healthReport } from './health/report.js';
export type { UserHealth, UserStatus } from './health/status.js';
export type { RestoredTable } from './migrations/backup/restore.js';
export { restore } from './migrations/backup/restore.js';
export type { MigrateOptions, MigrateResult } from './migrations/migrate.js';
export { migrate } from './migrations/migrate.js';
export type { RollbackOptions, RollbackResult } from './migrations/rollback.js';
export { rollback } from './migrations/rollback.js';
export type { MigrationStatus } from './migrations/status.js';
export { migrationStatus } from './migrations/status.js';
export { openDatabase } from './open-database.js';
export type { Applied } from './resources/meetings/apply.js';
export type {
  MeetingChange as ChangedMeeting,
  MeetingFacts,
  MeetingOutcome,
} from './resources/meetings/changes.js';
export type { Plan } from './sync/plan.js';
export type { Counts, ListedChange, OnSyncEvent, SyncEvent, UserResult } from './sync/report.js';
export type { SyncOptions, SyncResult } from './sync/sync.js';
export { requestFullSync, sync } from './sync/sync.js';
export type { Difference, Verification, VerifyOptions } from './sync/verify.js';
export { verify } from './sync/verify.js';
export type { CleanOptions, CleanResult } from './webhook/clean.js';
export { cleanWebhookEvents } from './webhook/clean.js';
export type { PingOptions, PingProblem, PingResult, PingStep } from './webhook/ping.js';
export { pingReceiver } from './webhook/ping.js';
export type { DeliveryResult, DeliveryStatus } from './webhook/receiver/apply-deliveries.js';
export type { Delivery, InviteeEvent, MeetingChange } from './webhook/receiver/delivery.js';
export type { Endpoint, Incoming, Reply } from './webhook/receiver/exchange.js';
export type { WebhookHandler, WebhookHandlerOptions } from './webhook/receiver/handler.js';
export { createWebhookHandler, WEBHOOK_PATH } from './webhook/receiver/handler.js';
export type {
  LogLine,
  OnReceiverEvent,
  ReceiverEvent,
  Rejection,
  RejectionCount,
} from './webhook/receiver/log-lines.js';
export { logLines } from './webhook/receiver/log-lines.js';
export type { Address, WebhookServer } from './webhook/receiver/server.js';
export { startWebhookServer } from './webhook/receiver/server.js';
export type { ReplayOptions, ReplayResult } from './webhook/replay.js';
export { replayWebhookEvents } from './webhook/replay.js';
export type { MaintenanceEvent } from './webhook/subscriptions/maintain.js';
export type { Repair, RepairOptions } from './webhook/subscriptions/repair.js';
export { repairSubscription } from './webhook/subscriptions/repair.js';
export type { ListedSubscription } from './webhook/subscriptions/subscribe.js';
