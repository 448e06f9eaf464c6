/** Makes text safe to print: control and direction characters become visible, secrets disappear. Pure. */

// C0 without tab and newline, DEL, C1; zero-width and direction marks; line separators; the byte order mark.
// The zero-width joiner and variation selectors stay: emoji consist of them, and they move nothing.
const UNSAFE =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]/gu;

/** The text with everything escaped that could move the cursor, color the terminal or change the reading direction. */
export function escapeControlCharacters(text: string): string {
  return text.replace(
    UNSAFE,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );
}

/** Like `escapeControlCharacters`, and newlines and tabs too: for a name or title that must stay on its line. */
export function oneLine(text: string): string {
  return escapeControlCharacters(text).replaceAll('\n', '\\n').replaceAll('\t', '\\t');
}

/** The text with every secret replaced by `***`; longer secrets first, so that none leaves a tail. */
export function redactSecrets(text: string, secrets: readonly string[]): string {
  const longestFirst = [...secrets].sort((a, b) => b.length - a.length);
  return longestFirst.reduce((clean, secret) => clean.replaceAll(secret, '***'), text);
}
