/** When a run reads the resources beside meetings, and what it reports of them. How they are read: resources/refresh.ts. */
import { DEFAULT_RESOURCES, parseResources, type ResourceName } from '../resources/names.js';
import { refreshResources } from '../resources/refresh.js';
import type { SyncOptions } from './options.js';
import type { Plan } from './plan.js';
import type { Run } from './run.js';

/** The resources that a run reads. */
export interface DueResources {
  names: readonly ResourceName[];
  /** Leaves out what was read a short time ago. */
  onlyDue: boolean;
}

/**
 * Decides which resources a run reads: those that it was asked for, or those that are due. The daily listing of the full
 * window brings them, but not the first one: a first sync costs no more than its meetings.
 */
export function dueResources(
  { config, only, dryRun }: SyncOptions,
  plan: Plan,
  lastFullListingAt: Date | null,
): DueResources | null {
  if (dryRun) return null;
  if (only) return { names: only, onlyDue: false };
  const { names, every } = config.resources ?? parseResources(DEFAULT_RESOURCES);
  if (names.length === 0 || !plan.updatesSyncState) return null;
  if (every === 'hourly') return { names, onlyDue: true };
  return plan.daily && lastFullListingAt !== null ? { names, onlyDue: false } : null;
}

/** Reads the resources that are due, after everything else. */
export async function readResources(run: Run, { names, onlyDue }: DueResources): Promise<void> {
  const { client, account, userId, lease, signal, databaseNow, report } = run;
  if (lease === null || account.id === null || userId === null) return;
  const before = client.counters().requests;
  const source = { accountId: account.id, organizationUri: account.organizationUri ?? null };
  const { calendlyUri } = account;
  const write = lease.transaction;
  const context = { client, userId, calendlyUri, source, signal, databaseNow, write };
  const read = await refreshResources(context, names, onlyDue);
  if (read.length === 0) return;
  report.resources = { requests: client.counters().requests - before, read };
  report.emit({ type: 'resources', email: account.email, resources: report.resources });
}
