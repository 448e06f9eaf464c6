/** The ping of a dead-man's switch: whoever watches the URL learns of a failure, and of a health that never ran. */
import { messageOf } from '../../errors.js';
import type { Output } from '../terminal/output.js';

const TIMEOUT_MS = 5_000;

/** Requests the URL, or URL/fail. Never fails: a monitor that is away must not make a healthy database red. */
export async function ping(url: string, healthy: boolean, output: Output): Promise<void> {
  try {
    const response = await fetch(healthy ? url : failUrl(url), { signal: AbortSignal.timeout(TIMEOUT_MS) });
    await response.body?.cancel();
    if (!response.ok) output.warn(`CALENDLY_SYNC_PING_URL answers ${response.status}.`);
  } catch (error) {
    output.warn(`CALENDLY_SYNC_PING_URL does not answer: ${messageOf(error)}`);
  }
}

/** Before the query, if there is one. */
function failUrl(url: string): string {
  const target = new URL(url);
  target.pathname = `${target.pathname.replace(/\/$/, '')}/fail`;
  return target.href;
}
