/** What a receiver says of itself while it runs, and the lines that operators look for. Shapes and wording; prints nothing. */
import type { Outcome } from './apply-deliveries.js';

/** Why a request was refused before anything of it was believed. */
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

export type ReceiverEvent =
  | { type: 'received'; outcome: Outcome }
  /** Nothing was kept: the sender was told to come again. */
  | { type: 'failed'; message: string }
  /** Refused since the last such event, by reason. */
  | { type: 'rejected'; counts: { reason: Rejection; count: number }[] };

export type OnReceiverEvent = (event: ReceiverEvent) => void;

/** A line for the log, and whether it is bad news. */
export interface LogLine {
  text: string;
  bad: boolean;
}

/** The lines of an event; text from Calendly stands in them as it came. */
export function logLines(event: ReceiverEvent): LogLine[] {
  if (event.type === 'failed') return [bad(`❌ Error processing Calendly webhook: ${event.message}`)];
  if (event.type === 'rejected') {
    const list = event.counts.map(({ reason, count }) => `${count} ${reason.replaceAll('_', ' ')}`);
    return [bad(`⚠ Requests refused: ${list.join(', ')}`)];
  }
  const { status, delivery, applied, error } = event.outcome;
  const { eventType, change } = delivery;
  if (status === 'duplicate') return [];
  if (status === 'unapplied')
    return [bad(`❌ Error processing Calendly webhook: ${eventType} kept, not applied: ${error}`)];
  if (status === 'kept') return [good(`✅ Webhook kept: ${eventType} changes no meeting`)];
  if (change === null) return [];
  if (status === 'unclaimed')
    return [good(`✅ Webhook kept for a host who is not connected here: ${eventType} ${change.meetingUri}`)];
  const lines = [good(`${WORDS[change.kind]}: ${change.meetingUri}`)];
  const made = applied.some(({ outcome }) => outcome === 'new' || outcome === 'recorded_canceled');
  const name = change.event?.name;
  const title = typeof name === 'string' ? name : change.meetingUri;
  if (made) lines.push(good(`✅ Meeting created from webhook: ${title}`));
  return lines;
}

const WORDS = {
  'invitee.created': '✅ New meeting scheduled via webhook',
  'invitee.canceled': '✅ Meeting canceled via webhook',
  'invitee_no_show.created': '✅ No-show marked via webhook',
  'invitee_no_show.deleted': '✅ No-show mark taken back via webhook',
} as const;

function good(text: string): LogLine {
  return { text, bad: false };
}

function bad(text: string): LogLine {
  return { text, bad: true };
}
