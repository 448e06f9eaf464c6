/** One result of `doctor`. */
import { toCalendlySyncError } from '../errors.js';

/** `failed`: it must be fixed · `warning`: it works, and may not be what you want · `skipped`: it does not apply. */
export type FindingStatus = 'ok' | 'warning' | 'failed' | 'skipped';

export interface Finding {
  /** Stable: an API for `--json` readers. */
  check: string;
  status: FindingStatus;
  /** What was looked at. */
  looked_at: string;
  message: string;
  /** How to fix it. */
  hint: string | null;
}

/** Creates the findings of one check. */
export function findingsOf(check: string, looked_at: string) {
  const finding = (status: FindingStatus, message: string, hint: string | null = null): Finding => {
    return { check, status, looked_at, message, hint };
  };
  return {
    ok: (message: string) => finding('ok', message),
    skipped: (message: string) => finding('skipped', message),
    warning: (message: string, hint: string) => finding('warning', message, hint),
    failed: (message: string, hint: string | null) => finding('failed', message, hint),
    /** An error of the check itself. */
    error(error: unknown): Finding {
      const { message, hint } = toCalendlySyncError(error);
      return finding('failed', message, hint);
    },
  };
}
