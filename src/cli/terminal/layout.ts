/** Text in lines that fit a terminal, measured in terminal columns. Pure; knows no colors. */

/** Created with its first use: that takes longer than the rest of a short command. */
let graphemes: Intl.Segmenter | undefined;
const EMOJI = /^(?:\p{Emoji_Presentation}|\p{Extended_Pictographic}\ufe0f)/u;
const EAST_ASIAN =
  /^[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]/u;

function charactersOf(text: string): { text: string; width: number }[] {
  graphemes ??= new Intl.Segmenter('en', { granularity: 'grapheme' });
  return Array.from(graphemes.segment(text), ({ segment }) => ({
    text: segment,
    width: EMOJI.test(segment) || EAST_ASIAN.test(segment) ? 2 : /^\p{M}/u.test(segment) ? 0 : 1,
  }));
}

/** How many terminal columns the text takes: two for East Asian characters and emoji, none for combining marks. */
export function displayWidth(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  return charactersOf(text).reduce((sum, { width }) => sum + width, 0);
}

/**
 * The text's lines, broken at spaces to fit into `width` columns. A line keeps its leading spaces; what continues it is
 * indented by `indent` more. A word longer than a line stays whole (a broken URL cannot be copied) unless `breakWords`.
 */
export function wrap(
  text: string,
  width: number,
  { indent = '', breakWords = false }: { indent?: string; breakWords?: boolean } = {},
): string[] {
  return text.split('\n').flatMap((line) => {
    const margin = /^ */.exec(line)?.[0] ?? '';
    const words = line.slice(margin.length).split(' ');
    const [first = '', ...rest] = breakWords ? words.flatMap((word) => pieces(word, width)) : words;
    const lines: string[] = [];
    let current = margin + first;
    for (const word of rest) {
      if (displayWidth(`${current} ${word}`) <= width) current += ` ${word}`;
      else {
        lines.push(current);
        current = margin + indent + word;
      }
    }
    return [...lines, current];
  });
}

function pieces(word: string, width: number): string[] {
  if (displayWidth(word) <= width) return [word];
  const all = [''];
  let used = 0;
  for (const character of charactersOf(word)) {
    if (used > 0 && used + character.width > width) {
      all.push('');
      used = 0;
    }
    all[all.length - 1] += character.text;
    used += character.width;
  }
  return all;
}

/** The text cut to `width` columns, with `…` for what does not fit. */
export function truncate(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  return `${pieces(text, Math.max(1, width - 1))[0]}…`;
}
