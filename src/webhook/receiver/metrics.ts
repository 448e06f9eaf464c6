/** Counters of a receiver since its start, as Prometheus text. Knows neither HTTP nor a database. */
import { type Metric, metricsText, type Sample } from '../../prometheus.js';
import type { DeliveryStatus } from './apply-deliveries.js';
import type { Rejection } from './log-lines.js';

/** Upper bounds of the time from a request to its response, in seconds. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 15];
/** Further event types are counted together: memory must not grow with what senders invent. */
const MAX_EVENT_TYPES = 50;

export interface Metrics {
  received(eventType: string, status: DeliveryStatus, seconds: number): void;
  rejected(reason: Rejection): void;
  /** Counts a delivery that could not be stored. */
  notStored(): void;
  /** @param inFlight deliveries that wait for their commit now */
  text(inFlight: number): string;
}

export function createMetrics(now: () => number): Metrics {
  const eventTypes = new Set<string>();
  const deliveries = new Map<string, Sample>();
  const rejections = new Map<string, Sample>();
  /** How many responses took at most as long as the bound of the same index. */
  const buckets = BUCKETS.map(() => 0);
  let failures = 0;
  let count = 0;
  let sum = 0;
  let last: number | null = null;

  function increment(samples: Map<string, Sample>, labels: Record<string, string>): void {
    const key = Object.values(labels).join(' ');
    samples.set(key, { labels, value: (samples.get(key)?.value ?? 0) + 1 });
  }

  return {
    received(eventType, status, seconds) {
      const known = eventTypes.has(eventType) || eventTypes.size < MAX_EVENT_TYPES ? eventType : 'other';
      eventTypes.add(known);
      increment(deliveries, { event_type: known, status });
      for (const [index, bound] of BUCKETS.entries()) {
        if (seconds <= bound) buckets[index] = (buckets[index] ?? 0) + 1;
      }
      count++;
      sum += seconds;
      last = now();
    },
    rejected: (reason) => increment(rejections, { reason }),
    notStored() {
      failures++;
    },
    text(inFlight) {
      const histogram = [
        ...BUCKETS.map((le, index) => bucket(String(le), buckets[index] ?? 0)),
        bucket('+Inf', count),
        { suffix: '_sum', value: sum },
        { suffix: '_count', value: count },
      ];
      const newest = last === null ? [] : [{ value: last / 1_000 }];
      return metricsText('calendly_sync_webhook_', [
        counter('deliveries_total', 'Authentic deliveries, by event type and result.', deliveries.values()),
        counter('rejections_total', 'Rejected requests, by reason.', rejections.values()),
        counter('failures_total', 'Deliveries answered with 503: Calendly resends them.', [
          { value: failures },
        ]),
        { name: 'in_flight', help: 'Deliveries that wait for their commit.', samples: [{ value: inFlight }] },
        {
          name: 'last_delivery_timestamp_seconds',
          help: 'When the newest delivery was answered.',
          samples: newest,
        },
        {
          name: 'duration_seconds',
          type: 'histogram',
          help: 'Time from a request to its response.',
          samples: histogram,
        },
      ]);
    },
  };
}

function counter(name: string, help: string, samples: Iterable<Sample>): Metric {
  return { name, type: 'counter', help, samples: [...samples] };
}

function bucket(le: string, value: number): Sample {
  return { suffix: '_bucket', labels: { le }, value };
}
