/**
 * Makes text fit to be shown: control and direction characters that came from outside become visible, secrets disappear.
 * Pure; knows no stream.
 */

// C0 without tab and newline, DEL, C1; zero-width and direction marks; line separators; the byte order mark.
const HARMFUL =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]/gu;

function escaped(character: string): string {
  return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`;
}

/** The text with everything escaped that could move the cursor, colour the terminal or turn the reading direction. */
export function harmless(text: string): string {
  return text.replace(HARMFUL, escaped);
}

/** Like `harmless`, and newlines and tabs too: for a name or title that must stay on its line. */
export function oneLine(text: string): string {
  return harmless(text).replaceAll('\n', '\\n').replaceAll('\t', '\\t');
}

/** The text with every one of the secrets replaced by `***`; longer secrets first, so that none leaves a tail. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  let clean = text;
  for (const secret of [...secrets].sort((a, b) => b.length - a.length))
    clean = clean.replaceAll(secret, '***');
  return clean;
}
