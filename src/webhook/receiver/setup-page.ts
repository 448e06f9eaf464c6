/** What `…/test` says about the setup of a receiver. Pure; shows no secret. */
import { INVITEE_EVENTS } from './delivery.js';
import type { DatabaseState } from './probe.js';

export interface Setup {
  /** The public origin; null if it is not known. */
  url: string | null;
  /** The origin of the request. */
  origin: string;
  path: string;
  /** How many signing keys are set. */
  keys: number;
  toleranceMs: number;
  database: DatabaseState;
}

/** @param details adds the settings and what is missing, for operators only */
export function setupPage({ url, origin, path, keys, toleranceMs, database }: Setup, details: boolean) {
  const missing = [
    ...(url === null ? ['The public URL: start the receiver with --public-url https://…'] : []),
    ...(database === 'unreachable' ? ['The database does not answer.'] : []),
    ...(database === 'read_only' ? ['A primary: the database refuses writes.'] : []),
    ...(database === 'not_migrated' ? ['The schema: run calendly-sync migrate'] : []),
  ];
  const page = {
    webhook_url: `${(url ?? origin).replace(/\/+$/, '')}${path}`,
    method: 'POST',
    events: INVITEE_EVENTS,
    ready: missing.length === 0,
  };
  if (!details) return page;
  const configured = {
    signing_keys: keys,
    tolerance_seconds: Math.round(toleranceMs / 1_000),
    public_url: url !== null,
    database,
  };
  return { ...page, configured, missing };
}
