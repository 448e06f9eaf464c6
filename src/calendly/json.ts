/** JSON from Calendly that Postgres accepts: jsonb takes neither U+0000 nor a lone surrogate. Pure. */
import { parseExact } from '../exact-json.js';

// Only an escape can produce such a character: the text itself is valid UTF-8.
const SUSPICIOUS = /\\u(0000|[dD][89a-fA-F])/;

const MAX_LEVELS = 500;

/**
 * Parses a response body. U+0000 and lone surrogates in any string or key become U+FFFD.
 * @throws SyntaxError if the text is not JSON
 */
export function parseJson(text: string): unknown {
  const value = parseExact(text);
  return SUSPICIOUS.test(text) ? sanitizeForPostgres(value) : value;
}

/** @param levels how deep it goes: deeper JSON is refused elsewhere, and must not overflow the stack here */
function sanitizeForPostgres(value: unknown, levels = MAX_LEVELS): unknown {
  if (typeof value === 'string') return value.toWellFormed().replaceAll('\u0000', '\ufffd');
  if (value === null || typeof value !== 'object' || levels === 0) return value;
  const inside = (inner: unknown) => sanitizeForPostgres(inner, levels - 1);
  if (Array.isArray(value)) return value.map(inside);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [inside(key), inside(inner)]));
}
