/** What a receiver counts since it began, and the Prometheus text of it. Knows neither HTTP nor a database. */

import type { Status } from './apply-deliveries.js';
import type { Rejection } from './log-lines.js';

/** Upper bounds of the time from a request's first byte to its answer, in seconds. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 15];

export interface Metrics {
  received(kind: string, status: Status, seconds: number): void;
  rejected(reason: Rejection): void;
  failed(): void;
  /** @param inHand deliveries that wait for their commit now */
  text(inHand: number): string;
}

/** Kinds beyond so many are counted together: what comes from outside must not grow memory. */
const MOST_KINDS = 50;

export function createMetrics(now: () => number): Metrics {
  const deliveries = new Map<string, { kind: string; status: Status; count: number }>();
  const kinds = new Set<string>();
  const rejections = new Map<Rejection, number>();
  const buckets = BUCKETS.map(() => 0);
  let failures = 0;
  let count = 0;
  let sum = 0;
  let last: number | null = null;
  return {
    received(given, status, seconds) {
      const kind = kinds.has(given) || kinds.size < MOST_KINDS ? given : 'other';
      kinds.add(kind);
      const entry = deliveries.get(`${kind} ${status}`) ?? { kind, status, count: 0 };
      entry.count++;
      deliveries.set(`${kind} ${status}`, entry);
      const bucket = BUCKETS.findIndex((bound) => seconds <= bound);
      if (bucket >= 0) buckets[bucket] = (buckets[bucket] ?? 0) + 1;
      count++;
      sum += seconds;
      last = now();
    },
    rejected: (reason) => rejections.set(reason, (rejections.get(reason) ?? 0) + 1),
    failed() {
      failures++;
    },
    text(inHand) {
      let below = 0;
      const histogram = BUCKETS.map((bound, index) => {
        below += buckets[index] ?? 0;
        return `_bucket{le="${bound}"} ${below}`;
      });
      return [
        ...metric('deliveries_total', 'counter', 'Authentic deliveries, by kind and what became of them.', [
          ...[...deliveries.values()].map(
            (one) => `{event_type="${escaped(one.kind)}",status="${one.status}"} ${one.count}`,
          ),
        ]),
        ...metric('rejections_total', 'counter', 'Requests refused, by reason.', [
          ...[...rejections].map(([reason, times]) => `{reason="${reason}"} ${times}`),
        ]),
        ...metric('failures_total', 'counter', 'Deliveries answered 503 or 500: the sender repeats them.', [
          ` ${failures}`,
        ]),
        ...metric('in_hand', 'gauge', 'Deliveries that wait for their commit.', [` ${inHand}`]),
        ...metric('last_delivery_timestamp_seconds', 'gauge', 'When the newest delivery was answered.', [
          ...(last === null ? [] : [` ${last / 1_000}`]),
        ]),
        ...metric('duration_seconds', 'histogram', 'From the request to its answer.', [
          ...histogram,
          `_bucket{le="+Inf"} ${count}`,
          `_sum ${sum}`,
          `_count ${count}`,
        ]),
      ].join('\n');
    },
  };
}

function metric(name: string, type: string, help: string, samples: string[]): string[] {
  const full = `calendly_sync_webhook_${name}`;
  const lines = [`# HELP ${full} ${help}`, `# TYPE ${full} ${type}`, ...samples.map((one) => full + one)];
  return samples.length === 0 ? [] : [`${lines.join('\n')}`];
}

/** The format knows three escapes in label values. */
function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
