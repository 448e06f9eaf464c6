/** The public library: everything that a program may import, by name. */
export {
  type ConnectedAccount,
  type ConnectOptions,
  type ConnectTokens,
  connectAccount,
  type Disconnected,
  disconnectAccount,
  type GetAccessTokenOptions,
  getAccessToken,
} from './accounts/connect.js';
export { type RekeyOptions, rekey } from './accounts/rekey.js';
export type { TokenProvider } from './accounts/token-source.js';
export { type CalendlyClient, type ClientOptions, createCalendlyClient } from './calendly/client.js';
export type { HttpAttempt, HttpWait } from './calendly/http.js';
export type { ProxySettings } from './calendly/proxy.js';
export type { HttpRequest, HttpResponse, HttpTransport } from './calendly/transport.js';
export { type Config, type ConfigFlags, type Environment, loadConfig } from './config.js';
export { type Database, openServer, type Sql, type TransactionOptions } from './database/connection.js';
export { grantRead, type ReadGrant } from './database/readers.js';
export type { WebhookEventCount } from './database/tables/health-queries.js';
export type { SyncException } from './database/tables/pending-events.js';
export type { ResourceOff } from './database/tables/resources.js';
export type { UserId } from './database/user-id.js';
export { CalendlySyncError, ERROR_CODES, type ErrorCode, type ErrorReport } from './errors.js';
export type { Problem, ProblemCode } from './health/problem.js';
export { prometheusText } from './health/prometheus.js';
export { type HealthOptions, type HealthReport, healthReport } from './health/report.js';
export type { UserHealth, UserStatus } from './health/status.js';
export { type RestoredTable, restore } from './migrations/backup/restore.js';
export { type MigrateOptions, type MigrateResult, migrate } from './migrations/migrate.js';
export { type RollbackOptions, type RollbackResult, rollback } from './migrations/rollback.js';
export { type MigrationStatus, migrationStatus } from './migrations/status.js';
export { openDatabase } from './open-database.js';
export { type EraseOptions, type EraseResult, erase } from './privacy/erase.js';
export { type EraseUserOptions, type EraseUserResult, eraseUser } from './privacy/erase-user.js';
export { type Match, matchInvitees } from './reports/match.js';
export {
  type ListedMeeting,
  listMeetings,
  type MeetingDetails,
  type MeetingList,
  type MeetingsOptions,
  readMeeting,
} from './reports/meetings.js';
export { type QueryResult, runQuery } from './reports/query.js';
export { type Report, type ReportName, type ReportOptions, readReport } from './reports/report.js';
export type {
  Applied,
  MeetingChange as ChangedMeeting,
  MeetingFacts,
  MeetingOutcome,
} from './resources/meetings/changes.js';
export type { ResourceName, ResourceSetting } from './resources/names.js';
export type { ResourceResult, ResourcesResult } from './resources/refresh.js';
export type { AccountsResult } from './sync/accounts.js';
export {
  type Duration,
  type KeepSyncedOptions,
  keepSynced,
  type SyncAccountOptions,
  type SyncDueOptions,
  syncAccount,
  syncDue,
} from './sync/keep.js';
export type { Plan } from './sync/plan.js';
export type { Counts, ListedChange, OnSyncEvent, SyncEvent, UserResult } from './sync/report.js';
export { requestFullSync, type SyncOptions, type SyncResult, sync } from './sync/sync.js';
export { type Difference, type Verification, type VerifyOptions, verify } from './sync/verify.js';
export { type CleanOptions, type CleanResult, cleanWebhookEvents } from './webhook/clean.js';
export {
  type PingOptions,
  type PingProblem,
  type PingResult,
  type PingStep,
  pingReceiver,
} from './webhook/ping.js';
export type { DeliveryResult, DeliveryStatus } from './webhook/receiver/apply-deliveries.js';
export type { Delivery, InviteeEvent, MeetingChange } from './webhook/receiver/delivery.js';
export type { Endpoint, Incoming, Reply } from './webhook/receiver/exchange.js';
export {
  createWebhookHandler,
  WEBHOOK_PATH,
  type WebhookHandler,
  type WebhookHandlerOptions,
} from './webhook/receiver/handler.js';
export {
  type LogLine,
  logLines,
  type OnReceiverEvent,
  type ReceiverEvent,
  type Rejection,
  type RejectionCount,
} from './webhook/receiver/log-lines.js';
export { type Address, startWebhookServer, type WebhookServer } from './webhook/receiver/server.js';
export { type ReplayOptions, type ReplayResult, replayWebhookEvents } from './webhook/replay.js';
export type { MaintenanceEvent } from './webhook/subscriptions/maintain.js';
export { type Repair, type RepairOptions, repairSubscription } from './webhook/subscriptions/repair.js';
export type { ListedSubscription } from './webhook/subscriptions/subscribe.js';
