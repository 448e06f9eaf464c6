// biome-ignore-all format: one line per object
/**
 * What each migration creates, and the columns of its tables: written by `npm run schema` from what the files really create.
 * `users.id` and `meetings.id` stand for the type of that column. Do not edit.
 */
export const EXPECTED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  '001': {
    'columns meetings': 'user_id users.id, meeting_source text, external_id text, calendly_uri text, title text, status text, start_time timestamp with time zone, end_time timestamp with time zone, event_type_uri text, location_type text, location jsonb, join_url text, invitees_total integer, invitees_active integer, is_deleted boolean, deleted_at timestamp with time zone, deleted_reason text, canceled_by text, cancel_reason text, canceled_at timestamp with time zone, calendly_created_at timestamp with time zone, calendly_updated_at timestamp with time zone, last_calendar_sync timestamp with time zone, raw jsonb',
    'function calendly_sync_table(name text, columns text, mark text)': '',
    'table meeting_invitees': 'id bigint, meeting_id meetings.id, calendly_uri text, email text, name text, first_name text, last_name text, status text, timezone text, rescheduled boolean, old_invitee_uri text, new_invitee_uri text, no_show_at timestamp with time zone, canceled_by text, cancel_reason text, canceled_at timestamp with time zone, questions_and_answers jsonb, tracking jsonb, payment jsonb, calendly_created_at timestamp with time zone, calendly_updated_at timestamp with time zone, raw jsonb, utm_source text, utm_medium text, utm_campaign text, utm_content text, utm_term text, salesforce_uuid text, canceler_type text, scheduled_by text, scheduling_method text, phone text, routing_form_submission_uri text',
  },
  '002': {
    'index calendly_accounts_organization_idx': '',
    'index calendly_leases_due_idx': '',
    'index calendly_sync_runs_account_idx': '',
    'table calendly_accounts': 'id bigint, user_id users.id, calendly_uri text, kind text, state text, state_reason text, organization_uri text, email text, name text, timezone text, organization_account_id bigint, member_left_at timestamp with time zone, token_fingerprint text, last_full_listing_at timestamp with time zone, last_error_code text, last_error text, last_error_at timestamp with time zone, webhook_subscription_uri text, webhook_scope text, webhook_url text, webhook_key_fingerprint text, webhook_last_received_at timestamp with time zone, created_at timestamp with time zone, updated_at timestamp with time zone',
    'table calendly_leases': 'account_id bigint, due_at timestamp with time zone, wake_at timestamp with time zone, every_s integer, lease_no bigint, lease_until timestamp with time zone, lease_owner text, started_at timestamp with time zone, finished_at timestamp with time zone, failures integer, requests bigint',
    'table calendly_sync_runs': 'id bigint, account_id bigint, user_id users.id, mode text, status text, window_from timestamp with time zone, window_to timestamp with time zone, counts jsonb, requests integer, retries integer, rate_limit_wait_ms bigint, started_at timestamp with time zone, finished_at timestamp with time zone, error_code text, error text',
    'table calendly_tokens': 'account_id bigint, kind text, access bytea, refresh bytea, expires_at timestamp with time zone, generation bigint, scope text, refreshed_at timestamp with time zone',
  },
  '003': {
    'index calendly_events_recheck_idx': '',
    'index calendly_events_start_idx': '',
    'index calendly_pending_events_urgency_idx': '',
    'table calendly_events': 'user_id users.id, external_id text, meeting_id meetings.id, account_id bigint, adopted boolean, start_time timestamp with time zone, end_time timestamp with time zone, digest text, fingerprint text, read_at timestamp with time zone, recheck_at timestamp with time zone, written_at timestamp with time zone, failures integer, no_shows_removed jsonb',
    'table calendly_pending_events': 'account_id bigint, calendly_uri text, kind text, urgency integer, run_id bigint, listed_at timestamp with time zone, error text, failures integer, failed_at timestamp with time zone',
  },
  '004': {
    'table calendly_webhook_rejections': 'hour timestamp with time zone, reason text, count bigint, last_at timestamp with time zone',
  },
  '005': {
    'function calendly_sync_timezone(wanted text)': '',
    'function calendly_sync_view(name text, query text, mark text)': '',
    'index meeting_invitees_rescheduled_idx': '',
    'view calendly_answers': '',
    'view calendly_bookings': '',
    'view calendly_cancellations': '',
    'view calendly_chains': '',
    'view calendly_host_load': '',
    'view calendly_lead_time': '',
    'view calendly_people': '',
    'view calendly_reported_bookings': '',
    'view calendly_revenue': '',
    'view calendly_sources': '',
    'view calendly_weekly': '',
    'view invitee_answers': '',
    'view meeting_guests': '',
    'view meeting_hosts': '',
  },
  '006': {
    'table calendly_erasure_key': 'id integer, key bytea',
    'table calendly_erasures': 'hash bytea, erased_at timestamp with time zone',
  },
  '022': {
    'columns meetings': 'synced_via_webhook boolean',
    'columns users': 'last_calendly_sync timestamp with time zone, calendly_initial_sync_complete boolean, calendly_webhook_enabled boolean',
    'function clean_old_webhook_events()': '',
    'index calendly_webhook_events_created_idx': '',
    'index calendly_webhook_events_unmatched_idx': '',
    'index calendly_webhook_events_user_idx': '',
    'index calendly_webhook_events_waiting_idx': '',
    'table calendly_webhook_events': 'id uuid, event_id text, event_type text, payload jsonb, user_id users.id, processed_at timestamp with time zone, created_at timestamp with time zone, signature_verified boolean, error text, attempts integer, invitee_uri text, occurred_at timestamp with time zone, waits_for text, host_uris text[]',
    'view calendly_sync_health': '',
  },
};
