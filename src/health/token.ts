/** Whose token CALENDLY_TOKEN is, and how many requests it has left: asks Calendly once. Never throws for an answer. */
import type { CalendlyClient } from '../calendly/client.js';
import { toCalendlySyncError } from '../errors.js';

export interface TokenHealth {
  /** `unknown`: Calendly did not answer · `not_checked`: offline · `none`: CALENDLY_TOKEN is not set. */
  state: 'accepted' | 'rejected' | 'unknown' | 'not_checked' | 'none';
  /** Whose token it is. */
  email: string | null;
  /** Why it is rejected or unknown. */
  error: string | null;
}

/** The requests that the token's user has left in the current window. */
export interface RateLimit {
  limit: number;
  remaining: number;
  resets_at: Date;
}

/** @param client null: offline, or without a token */
export async function askForToken(client: CalendlyClient | null, hasToken: boolean): Promise<TokenHealth> {
  if (client === null) return { state: hasToken ? 'not_checked' : 'none', email: null, error: null };
  try {
    const { value } = await client.me();
    return { state: 'accepted', email: value.email ?? null, error: null };
  } catch (error) {
    const { code, message } = toCalendlySyncError(error);
    return { state: code === 'calendly_unauthorized' ? 'rejected' : 'unknown', email: null, error: message };
  }
}

/** What the responses of this client said. */
export function rateLimitOf(client: CalendlyClient | null): RateLimit | null {
  const known = client?.rateLimit();
  return known
    ? { limit: known.limit, remaining: known.remaining, resets_at: new Date(known.resetAt) }
    : null;
}
