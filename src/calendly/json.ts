/** JSON from Calendly that Postgres accepts: jsonb takes neither U+0000 nor a lone surrogate. Pure. */

// Only an escape can produce such a character: the text itself is valid UTF-8.
const SUSPICIOUS = /\\u(0000|[dD][89a-fA-F])/;

/**
 * Parses a response body. U+0000 and lone surrogates in any string or key become U+FFFD.
 * @throws SyntaxError if the text is not JSON
 */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  return SUSPICIOUS.test(text) ? sanitizeForPostgres(value) : value;
}

function sanitizeForPostgres(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed().replaceAll('\u0000', '\ufffd');
  if (Array.isArray(value)) return value.map(sanitizeForPostgres);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [sanitizeForPostgres(key), sanitizeForPostgres(inner)]),
  );
}
