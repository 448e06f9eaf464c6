/**
 * JSON whose numbers keep their digits. One that a JavaScript number would change becomes a string with marks, which
 * turns into the number again. Knows nothing of who sends or stores it.
 */

/** A character for private use. */
const MARK = '\ue000';
const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const MARKED = new RegExp(`"${MARK}(-?(?:0|[1-9]\\d*)(?:\\.\\d+)?(?:[eE][+-]?\\d+)?)${MARK}"`, 'g');
/** A number holds any 15 digits, and exponents of two digits. */
const MAY_CHANGE = /\d[\d.]{15}|\d[eE][+-]?\d{3}/;

/**
 * Parses JSON.
 * @throws SyntaxError if the text is not JSON
 */
export function parseExact(text: string): unknown {
  if (!MAY_CHANGE.test(text)) return JSON.parse(text);
  return JSON.parse(
    text.replace(STRING_OR_NUMBER, (token) =>
      token.startsWith('"') || String(Number(token)) === token || !MAY_CHANGE.test(token)
        ? token
        : `"${MARK}${token}${MARK}"`,
    ),
  );
}

/** The text of a value, with the digits that `parseExact` has read. */
export function stringifyExact(value: unknown): string {
  const text = JSON.stringify(value);
  return text.includes(MARK) ? text.replace(MARKED, '$1') : text;
}
