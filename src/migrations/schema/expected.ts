/**
 * What each migration makes, by name: the yardstick for preflight, drift, and whether a file was run by hand. A test holds it
 * against what the SQL files really make. Knows no SQL.
 */

/** Types as `format_type` says them. `users.id` and `meetings.id` stand for the type of that column, whatever it is. */
export type ColumnTypes = Readonly<Record<string, string>>;

/** A table of ours. */
export interface OwnTable {
  version: string;
  columns: ColumnTypes;
}

const TIME = 'timestamp with time zone';

/** The tables that are always ours; in the schema that `--schema` names. */
export const OWN_TABLES: Readonly<Record<string, OwnTable>> = {
  meeting_invitees: {
    version: '001',
    columns: {
      id: 'bigint',
      meeting_id: 'meetings.id',
      calendly_uri: 'text',
      email: 'text',
      name: 'text',
      first_name: 'text',
      last_name: 'text',
      status: 'text',
      timezone: 'text',
      rescheduled: 'boolean',
      old_invitee_uri: 'text',
      new_invitee_uri: 'text',
      no_show_at: TIME,
      canceled_by: 'text',
      cancel_reason: 'text',
      canceled_at: TIME,
      questions_and_answers: 'jsonb',
      tracking: 'jsonb',
      payment: 'jsonb',
      calendly_created_at: TIME,
      calendly_updated_at: TIME,
      raw: 'jsonb',
    },
  },
  calendly_accounts: {
    version: '002',
    columns: {
      id: 'bigint',
      user_id: 'users.id',
      calendly_uri: 'text',
      organization_uri: 'text',
      email: 'text',
      name: 'text',
      timezone: 'text',
      token_fingerprint: 'text',
      access_token_encrypted: 'bytea',
      refresh_token_encrypted: 'bytea',
      token_expires_at: TIME,
      lease_owner: 'text',
      lease_expires_at: TIME,
      last_full_listing_at: TIME,
      last_error_code: 'text',
      last_error: 'text',
      last_error_at: TIME,
      webhook_subscription_uri: 'text',
      webhook_scope: 'text',
      webhook_url: 'text',
      webhook_key_fingerprint: 'text',
      webhook_last_received_at: TIME,
      created_at: TIME,
      updated_at: TIME,
    },
  },
  calendly_sync_runs: {
    version: '002',
    columns: {
      id: 'bigint',
      account_id: 'bigint',
      user_id: 'users.id',
      mode: 'text',
      status: 'text',
      window_from: TIME,
      window_to: TIME,
      counts: 'jsonb',
      requests: 'integer',
      retries: 'integer',
      rate_limit_wait_ms: 'bigint',
      started_at: TIME,
      finished_at: TIME,
      error_code: 'text',
      error: 'text',
    },
  },
  calendly_event_reads: {
    version: '003',
    columns: {
      meeting_id: 'meetings.id',
      fingerprint: 'text',
      read_at: TIME,
      written_at: TIME,
      no_shows_removed: 'jsonb',
    },
  },
  calendly_pending_events: {
    version: '003',
    columns: {
      account_id: 'bigint',
      calendly_uri: 'text',
      kind: 'text',
      event: 'jsonb',
      run_id: 'bigint',
      listed_at: TIME,
      error: 'text',
    },
  },
  calendly_webhook_rejections: {
    version: '004',
    columns: { hour: TIME, reason: 'text', count: 'bigint', last_at: TIME },
  },
  calendly_webhook_events: {
    version: '022',
    columns: {
      id: 'uuid',
      event_id: 'text',
      event_type: 'text',
      payload: 'jsonb',
      user_id: 'users.id',
      processed_at: TIME,
      created_at: TIME,
      error: 'text',
      attempts: 'integer',
      invitee_uri: 'text',
      occurred_at: TIME,
    },
  },
};

/** Columns that our migrations put on tables that may belong to others. */
export const HOST_COLUMNS: Readonly<
  Record<'users' | 'meetings', Readonly<Record<string, { version: string; type: string }>>>
> = {
  users: {
    last_calendly_sync: { version: '022', type: TIME },
    calendly_initial_sync_complete: { version: '022', type: 'boolean' },
    calendly_webhook_enabled: { version: '022', type: 'boolean' },
  },
  meetings: {
    ...Object.fromEntries(
      Object.entries({
        user_id: 'users.id',
        meeting_source: 'text',
        external_id: 'text',
        calendly_uri: 'text',
        title: 'text',
        status: 'text',
        start_time: TIME,
        end_time: TIME,
        event_type_uri: 'text',
        location_type: 'text',
        location: 'jsonb',
        join_url: 'text',
        invitees_total: 'integer',
        invitees_active: 'integer',
        is_deleted: 'boolean',
        deleted_at: TIME,
        deleted_reason: 'text',
        canceled_by: 'text',
        cancel_reason: 'text',
        canceled_at: TIME,
        calendly_created_at: TIME,
        calendly_updated_at: TIME,
        last_calendar_sync: TIME,
        raw: 'jsonb',
      }).map(([name, type]) => [name, { version: '001', type }]),
    ),
    synced_via_webhook: { version: '022', type: 'boolean' },
  },
};

/** Indexes that stand on their own; those that come with a table's primary key or uniqueness go and come with the table. */
export const INDEXES: Readonly<
  Record<string, { version: string; table: string; columns: readonly string[]; unique: boolean }>
> = {
  calendly_sync_runs_account_idx: {
    version: '002',
    table: 'calendly_sync_runs',
    columns: ['account_id', 'started_at'],
    unique: false,
  },
  calendly_sync_runs_user_idx: {
    version: '002',
    table: 'calendly_sync_runs',
    columns: ['user_id'],
    unique: false,
  },
  calendly_meetings_key: {
    version: '005',
    table: 'meetings',
    columns: ['user_id', 'meeting_source', 'external_id'],
    unique: true,
  },
  calendly_meetings_start_idx: {
    version: '006',
    table: 'meetings',
    columns: ['user_id', 'start_time'],
    unique: false,
  },
  calendly_webhook_events_created_idx: {
    version: '022',
    table: 'calendly_webhook_events',
    columns: ['created_at'],
    unique: false,
  },
  calendly_webhook_events_waiting_idx: {
    version: '022',
    table: 'calendly_webhook_events',
    // Partial: no other index can stand in for it.
    columns: [],
    unique: false,
  },
  calendly_webhook_events_user_idx: {
    version: '022',
    table: 'calendly_webhook_events',
    columns: ['user_id'],
    unique: false,
  },
};

/** The migration that makes the view and the function, and their names. */
export const VIEW = { version: '022', name: 'calendly_sync_health' } as const;
export const FUNCTION = { version: '022', name: 'clean_old_webhook_events' } as const;

/** Roles through which hosted Postgres publishes a schema; whoever is not there cannot be let in. */
export const API_ROLES = ['anon', 'authenticated'] as const;
