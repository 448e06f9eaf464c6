/** The events of a running receiver, and their log lines, which operators look for. Does not print. */
import type { DeliveryResult } from './apply-deliveries.js';

/** Why a request was rejected before any of its content was believed. */
export type Rejection =
  | 'wrong_method'
  | 'wrong_type'
  | 'too_large'
  | 'too_slow'
  | 'no_signature'
  | 'malformed_signature'
  | 'wrong_signature'
  | 'expired'
  | 'invalid_json'
  | 'overloaded';

export interface RejectionCount {
  reason: Rejection;
  count: number;
}

export type ReceiverEvent =
  /** A delivery is stored. `late`: the sender got a 503 before, and sends it again. `durationMs`: since the request. */
  | { type: 'received'; requestId: string; result: DeliveryResult; durationMs: number; late: boolean }
  /** A delivery that waited for a lock was applied. */
  | { type: 'retried'; result: DeliveryResult }
  /** A delivery could not be stored; the sender got a 503 and retries. */
  | { type: 'not_stored'; requestId: string; message: string }
  /** Rejected requests since the last such event, by reason. */
  | { type: 'rejected'; counts: RejectionCount[] };

export type OnReceiverEvent = (event: ReceiverEvent) => void;

/** One line for the log. */
export interface LogLine {
  text: string;
  level: 'info' | 'error';
}

const APPLIED = {
  'invitee.created': '✅ New meeting scheduled via webhook',
  'invitee.canceled': '✅ Meeting canceled via webhook',
  'invitee_no_show.created': '✅ No-show marked via webhook',
  'invitee_no_show.deleted': '✅ No-show mark removed via webhook',
} as const;

/** The lines of an event. Text from Calendly is not escaped. */
export function logLines(event: ReceiverEvent): LogLine[] {
  if (event.type === 'not_stored') return [error(`❌ Error processing Calendly webhook: ${event.message}`)];
  if (event.type === 'rejected') {
    const list = event.counts.map(({ reason, count }) => `${count} ${reason.replaceAll('_', ' ')}`);
    return [error(`⚠ Requests rejected: ${list.join(', ')}`)];
  }
  if (event.type === 'retried') return resultLines(event.result);
  const late = event.late ? [error(`⚠ Stored after its 503: ${event.result.delivery.eventId}`)] : [];
  return [...late, ...resultLines(event.result)];
}

/** The lines of one delivery. Text from Calendly is not escaped. */
export function resultLines({ status, delivery, applied, error: reason }: DeliveryResult): LogLine[] {
  const { eventType, change } = delivery;
  if (status === 'duplicate') return [];
  if (status === 'failed') {
    return [error(`❌ Error processing Calendly webhook: ${eventType} stored, not applied: ${reason}`)];
  }
  if (change === null) return [info(`✅ Webhook ignored: ${eventType} changes no meeting`)];
  const { uri, event: meeting } = change.observation;
  if (status === 'unmatched') {
    return [info(`✅ Webhook stored for a host who is not connected here: ${eventType} ${uri}`)];
  }
  if (status === 'waiting') {
    return [info(`✅ Webhook stored, to be applied when a lock is released: ${eventType} ${uri}`)];
  }
  const lines = [info(`${APPLIED[change.eventType]}: ${uri}`)];
  const created = applied.some(({ outcome }) => outcome === 'new' || outcome === 'recorded_canceled');
  const title = typeof meeting?.name === 'string' ? meeting.name : uri;
  if (created) lines.push(info(`✅ Meeting created from webhook: ${title}`));
  return lines;
}

function info(text: string): LogLine {
  return { text, level: 'info' };
}

function error(text: string): LogLine {
  return { text, level: 'error' };
}
