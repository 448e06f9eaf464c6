/** JSON from Calendly, made sanitizeForPostgres: Postgres takes neither the character U+0000 nor half a surrogate pair. Pure. */

// What JSON.parse can make such characters of: an escape in the text, or (surrogates only) nothing else in valid UTF-8.
const SUSPICIOUS = /\\u(0000|[dD][89a-fA-F])/;

/**
 * Parses a response body. U+0000 and lone surrogates in any string or key become U+FFFD.
 * @throws SyntaxError when the text is no JSON
 */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  return SUSPICIOUS.test(text) ? sanitizeForPostgres(value) : value;
}

function sanitizeForPostgres(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed().replaceAll('\u0000', '\ufffd');
  if (Array.isArray(value)) return value.map(sanitizeForPostgres);
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [sanitizeForPostgres(key), sanitizeForPostgres(inner)]),
    );
  }
  return value;
}
