/** Counters of a receiver since its start, as Prometheus text. Knows neither HTTP nor a database. */
import { type Metric, metricsText, type Sample } from '../../prometheus.js';
import type { DeliveryStatus } from './apply-deliveries.js';
import type { Rejection } from './log-lines.js';

/** Upper bounds of the time from a request to its response, in seconds. */
const DURATIONS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 15];
/** Upper bounds of the age of a delivery when it was stored, in seconds. Calendly retries for a day. */
const LAGS = [1, 2, 5, 15, 60, 300, 900, 3_600, 21_600, 86_400];
/** Further event types are counted together: memory must not grow with what senders invent. */
const MAX_EVENT_TYPES = 50;

/** A delivery that was stored. */
export interface Stored {
  eventType: string;
  status: DeliveryStatus;
  /** From the request to the commit, in ms. */
  durationMs: number;
  /** From the event at Calendly to the commit, in ms; null if the delivery does not say. */
  lagMs: number | null;
  /** The sender got a 503 before. */
  late: boolean;
}

/** What is measured when the metrics are read. */
export interface Gauges {
  /** Deliveries that wait for their commit. */
  inFlight: number;
  /** Bytes of all requests in memory. */
  bytes: number;
}

export interface Metrics {
  stored(delivery: Stored): void;
  rejected(reason: Rejection): void;
  /** Counts a delivery that was answered with 503. */
  notStored(): void;
  /** Counts a connection that was closed because of the limit. */
  connectionDropped(): void;
  text(gauges: Gauges): string;
}

export function createMetrics(now: () => number): Metrics {
  const eventTypes = new Set<string>();
  const deliveries = new Map<string, Sample>();
  const rejections = new Map<string, Sample>();
  const durations = createHistogram(DURATIONS);
  const lags = new Map<string, Histogram>();
  let failures = 0;
  let late = 0;
  let dropped = 0;
  let last: number | null = null;

  function increment(samples: Map<string, Sample>, labels: Record<string, string>): void {
    const key = Object.values(labels).join(' ');
    const sample = samples.get(key) ?? { labels, value: 0 };
    sample.value++;
    samples.set(key, sample);
  }

  function lagOf(eventType: string): Histogram {
    const lag = lags.get(eventType) ?? createHistogram(LAGS, { event_type: eventType });
    lags.set(eventType, lag);
    return lag;
  }

  return {
    stored(delivery) {
      const { eventType, status, durationMs, lagMs } = delivery;
      const known = eventTypes.has(eventType) || eventTypes.size < MAX_EVENT_TYPES ? eventType : 'other';
      eventTypes.add(known);
      increment(deliveries, { event_type: known, status });
      durations.add(durationMs / 1_000);
      // Clocks may differ by a little.
      if (lagMs !== null) lagOf(known).add(Math.max(0, lagMs) / 1_000);
      if (delivery.late) late++;
      last = now();
    },
    rejected: (reason) => increment(rejections, { reason }),
    notStored() {
      failures++;
    },
    connectionDropped() {
      dropped++;
    },
    text({ inFlight, bytes }) {
      const newest = last === null ? [] : [{ value: last / 1_000 }];
      return metricsText('calendly_sync_webhook_', [
        counter('deliveries_total', 'Authentic deliveries, by event type and result.', deliveries.values()),
        counter('rejections_total', 'Rejected requests, by reason.', rejections.values()),
        counter('failures_total', 'Deliveries answered with 503: Calendly resends them.', [
          { value: failures },
        ]),
        counter('late_total', 'Deliveries that were stored after their 503.', [{ value: late }]),
        counter('connections_dropped_total', 'Connections closed to make room for others.', [
          { value: dropped },
        ]),
        gauge('in_flight', 'Deliveries that wait for their commit.', [{ value: inFlight }]),
        gauge('bytes', 'Bytes of requests in memory.', [{ value: bytes }]),
        gauge('last_delivery_timestamp_seconds', 'When the newest delivery was stored.', newest),
        histogram('duration_seconds', 'Time from a request to its commit.', durations.samples()),
        histogram(
          'lag_seconds',
          'Time from an event at Calendly to its commit here, by event type.',
          [...lags.values()].flatMap((lag) => lag.samples()),
        ),
      ]);
    },
  };
}

interface Histogram {
  add(value: number): void;
  samples(): Sample[];
}

function createHistogram(bounds: readonly number[], labels: Record<string, string> = {}): Histogram {
  /** How many values were at most as large as the bound of the same index. */
  const counts = bounds.map(() => 0);
  let count = 0;
  let sum = 0;
  const bucket = (le: string, value: number) => ({ suffix: '_bucket', labels: { ...labels, le }, value });
  return {
    add(value) {
      for (const [index, bound] of bounds.entries()) {
        if (value <= bound) counts[index] = (counts[index] ?? 0) + 1;
      }
      count++;
      sum += value;
    },
    samples: () => [
      ...bounds.map((bound, index) => bucket(String(bound), counts[index] ?? 0)),
      bucket('+Inf', count),
      { suffix: '_sum', labels, value: sum },
      { suffix: '_count', labels, value: count },
    ],
  };
}

function counter(name: string, help: string, samples: Iterable<Sample>): Metric {
  return { name, type: 'counter', help, samples: [...samples] };
}

function gauge(name: string, help: string, samples: Sample[]): Metric {
  return { name, help, samples };
}

function histogram(name: string, help: string, samples: Sample[]): Metric {
  return { name, type: 'histogram', help, samples };
}
