/** Reads what the status page shows beside the report: the last runs and deliveries, and the next meetings. */
import {
  type RecordedDelivery,
  type RecordedRun,
  readDeliveries,
  readNextMeetings,
  readRuns,
} from '../database/tables/run-history.js';
import { type HealthOptions, type HealthReport, healthReport } from './report.js';

/** The facts of one page. */
export interface PageFacts {
  report: HealthReport;
  /** The newest first. */
  runs: RecordedRun[];
  /** The newest first; without names. */
  deliveries: RecordedDelivery[];
  meetings: { start_time: Date; title: string | null; email: string | null }[];
  hasSigningKey: boolean;
}

const MAX_ROWS = 50;
const MAX_MEETINGS = 20;

/** @throws as `healthReport` */
export async function readPageFacts(options: HealthOptions): Promise<PageFacts> {
  const report = await healthReport(options);
  const hasDeliveries = !report.migrations.pending.some(({ version }) => Number(version) === 22);
  const lists = await options.database.transaction(
    async (sql) => ({
      runs: await readRuns(sql, { users: options.users ?? [], failed: false, limit: MAX_ROWS }),
      deliveries: hasDeliveries ? await readDeliveries(sql, MAX_ROWS) : [],
      meetings: await readNextMeetings(sql, MAX_MEETINGS),
    }),
    { readOnly: true },
  );
  return { report, ...lists, hasSigningKey: options.config.webhookSigningKeys.length > 0 };
}
