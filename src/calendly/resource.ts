/** Single resources: the path that a URI stands for, and the envelope of a response. Pure. */
import { CalendlySyncError } from '../errors.js';
import { RequestError } from './errors.js';
import { resourceSchema } from './schemas.js';

/** Parses the envelope of a single resource. @param path for the error message */
export function resourceOf<T>(path: string, parse: (raw: unknown) => T | null) {
  return (json: unknown): T => {
    const raw = resourceSchema.safeParse(json).data?.resource;
    const value = raw === undefined ? null : parse(raw);
    if (value === null) throw new RequestError('invalid', `${path} returned JSON of another shape.`);
    return value;
  };
}

/** The path of a resource's URI, whatever host it names. @throws CalendlySyncError `calendly_invalid_response` */
export function resourcePath(uri: string): string {
  const path = URL.canParse(uri) ? new URL(uri).pathname.replace(/\/+$/, '') : '';
  // The path of a URI without an authority, such as `x:y`, does not begin with a slash.
  if (path.startsWith('/')) return path;
  throw new CalendlySyncError(
    'calendly_invalid_response',
    `"${uri}" is not the URI of a Calendly resource.`,
    {
      hint: 'Expected https://api.calendly.com/scheduled_events/ID',
    },
  );
}
