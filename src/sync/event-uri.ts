/** Which meeting `sync --event` means. Pure. */
import { CalendlySyncError } from '../errors.js';

const CALENDLY_API = 'https://api.calendly.com';

/**
 * The URI of a meeting at this Calendly; of a bare id, too.
 * @throws CalendlySyncError `usage`
 */
export function eventUri(text: string, calendlyApiUrl: string): string {
  // Calendly's own URIs, whatever base is configured.
  if (/^[\w-]+$/.test(text) && /\d/.test(text)) return `${CALENDLY_API}/scheduled_events/${text}`;
  const url = URL.canParse(text) ? new URL(text) : null;
  const ours = [CALENDLY_API, new URL(calendlyApiUrl).origin];
  if (url && ours.includes(url.origin) && /\/scheduled_events\/[^/]+$/.test(url.pathname)) return text;
  throw new CalendlySyncError('usage', `--event: "${text}" is not the URI of a scheduled event.`, {
    hint: `Expected ${CALENDLY_API}/scheduled_events/ID, or the ID alone.`,
  });
}
