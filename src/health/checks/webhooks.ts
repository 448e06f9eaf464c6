/**
 * Checks webhooks: subscriptions, keys, rejected signatures, failed deliveries and silence. Reads only the given
 * facts.
 */
import { countOf } from '../../counting.js';
import { formatDuration } from '../../duration.js';
import type { OwnSubscription, WebhookState } from '../../webhook/subscriptions/inspect.js';
import type { Check } from '../check.js';
import { type Problem, quoteForShell } from '../problem.js';

export const checkWebhooks: Check = ({ webhooks }) => (webhooks === null ? [] : webhookProblems(webhooks));

/** What is wrong with webhooks in this state. Pure. */
export function webhookProblems(state: WebhookState): Problem[] {
  return [
    ...failedProblems(state),
    ...waitingProblems(state),
    ...signatureProblems(state),
    ...state.own.flatMap(keyProblems),
    ...state.own.flatMap(stateProblems),
    ...unknownProblems(state),
    ...state.own.flatMap(silenceProblems),
  ];
}

/** What a request with a well-formed signature can be rejected for. The others come from scanners. */
const SIGNATURE_REASONS = new Set(['wrong_signature', 'expired']);
const SUBSCRIBE = 'calendly-sync webhook subscribe --url';

function failedProblems({ failed: { count, error } }: WebhookState): Problem[] {
  if (count === 0) return [];
  const message = `${countOf(count, 'webhook event')} could not be applied: ${error ?? ''}`;
  return [{ code: 'webhooks_failed', message, hint: 'calendly-sync webhook replay' }];
}

function waitingProblems({ waiting: { count, ageMs, holder } }: WebhookState): Problem[] {
  if (count === 0) return [];
  const since = formatDuration(ageMs);
  const message = `${countOf(count, 'webhook event')} waiting for a lock, the first for ${since}: ${holder ?? ''}`;
  const hint =
    'End that transaction. A running receiver then applies them; so does: calendly-sync webhook replay';
  return [{ code: 'webhooks_waiting', message, hint }];
}

/** A wrong key rejects every delivery: one that was accepted since then proves that the key is right. */
function signatureProblems({ rejections, own }: WebhookState): Problem[] {
  if (own.length === 0) return [];
  const accepted = Math.max(...own.map(({ lastDelivery }) => lastDelivery?.getTime() ?? 0));
  const rejected = rejections.filter(
    ({ reason, last_at: last }) => SIGNATURE_REASONS.has(reason) && last.getTime() > accepted,
  );
  const total = rejected.reduce((sum, { count }) => sum + count, 0);
  if (total === 0) return [];
  const reasons = rejected.map(({ reason, count }) => `${count} ${reason.replaceAll('_', ' ')}`).join(', ');
  return [
    {
      code: 'webhook_signatures_rejected',
      message: `${countOf(total, 'webhook request')} rejected for the signature in the last 24 hours (${reasons})`,
      hint:
        "Set CALENDLY_WEBHOOK_SIGNING_KEY to the subscription's key and restart the receiver, " +
        `or create a new subscription: ${SUBSCRIBE} U`,
    },
  ];
}

function keyProblems({ key, email, url }: OwnSubscription): Problem[] {
  if (key === 'matches') return [];
  const subscription = `the webhook subscription of ${email ?? 'this account'}`;
  const message =
    key === 'not_set'
      ? `CALENDLY_WEBHOOK_SIGNING_KEY is not set, but ${subscription} was created with a key`
      : `CALENDLY_WEBHOOK_SIGNING_KEY is not the key that ${subscription} was created with`;
  const target = url === null ? 'U' : quoteForShell(url);
  const hint = `Set the key that was shown then, or create a new subscription: ${SUBSCRIBE} ${target}`;
  return [{ code: 'webhook_key_differs', message, hint }];
}

function stateProblems({ state, url, retryingSince }: OwnSubscription): Problem[] {
  if (state === 'disabled' || state === 'gone') {
    const message =
      state === 'disabled'
        ? `Calendly has disabled the webhook subscription for ${url}: deliveries failed for 24 hours`
        : `Calendly no longer has the webhook subscription for ${url}`;
    const hint = 'calendly-sync sync (recreates it and catches up on missed bookings)';
    return [{ code: 'webhook_disabled', message, hint }];
  }
  if (retryingSince === null) return [];
  const message =
    `deliveries to ${url} have failed since ${retryingSince}; ` +
    'Calendly disables the subscription after 24 hours';
  return [{ code: 'webhook_retrying', message, hint: curlHint(url) }];
}

function unknownProblems({ error }: WebhookState): Problem[] {
  if (error === null) return [];
  const message = `could not ask Calendly about the webhook subscription: ${error.message}`;
  return [{ code: 'webhook_state_unknown', message, hint: error.hint ?? 'calendly-sync webhook list' }];
}

/** Bookings that only a poll brought although there was a subscription. */
function silenceProblems({ url, missed, lastDelivery }: OwnSubscription): Problem[] {
  if (missed === 0) return [];
  const silence =
    lastDelivery === null
      ? 'no webhook delivery has ever arrived'
      : `no webhook delivery has arrived since ${lastDelivery.toISOString()}`;
  const message = `${silence}, but a sync found ${countOf(missed, 'booking')}`;
  return [{ code: 'webhook_silent', message, hint: curlHint(url) }];
}

/** The command that shows whether a receiver answers. */
function curlHint(url: string | null): string {
  // The query only tells subscriptions apart; the receiver ignores it.
  return `curl -i ${quoteForShell(`${(url ?? 'U').replace(/[?#].*/, '')}/test`)}`;
}
