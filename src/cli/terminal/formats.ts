/** Rows as CSV and calendar files, for other programs. Pure. */

/** CSV as in RFC 4180, with a head; lines end with a newline. Null is an empty field. */
export function csv(head: readonly string[], rows: readonly (readonly unknown[])[]): string {
  return [head, ...rows].map((row) => `${row.map(csvField).join(',')}\n`).join('');
}

function csvField(value: unknown): string {
  const text = cellText(value);
  return /[",\r\n]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A value of a row as text: times in ISO 8601, lists and objects as JSON. */
export function cellText(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value) && value.every((item) => typeof item !== 'object')) return value.join(', ');
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** One entry of a calendar. Times are UTC, ISO 8601. */
export interface CalendarEntry {
  uid: string;
  title: string;
  start: string;
  end: string;
  location: string | null;
  description: string;
  canceled: boolean;
}

/** A calendar as in RFC 5545. */
export function ics(entries: readonly CalendarEntry[], now: Date): string {
  const lines = entries.flatMap(({ uid, title, start, end, location, description, canceled }) => [
    'BEGIN:VEVENT',
    `UID:${icsText(uid)}@calendly-sync`,
    `DTSTAMP:${icsTime(now.toISOString())}`,
    `DTSTART:${icsTime(start)}`,
    `DTEND:${icsTime(end)}`,
    `SUMMARY:${icsText(title)}`,
    ...(location ? [`LOCATION:${icsText(location)}`] : []),
    ...(description ? [`DESCRIPTION:${icsText(description)}`] : []),
    `STATUS:${canceled ? 'CANCELLED' : 'CONFIRMED'}`,
    'END:VEVENT',
  ]);
  return ['BEGIN:VCALENDAR', 'VERSION:2.0', 'PRODID:-//calendly-sync//EN', ...lines, 'END:VCALENDAR']
    .map((line) => `${folded(line)}\r\n`)
    .join('');
}

function icsTime(time: string): string {
  return `${time.slice(0, 19).replace(/[-:]/g, '')}Z`;
}

function icsText(text: string): string {
  return text
    .replace(/[\\;,]/g, '\\$&')
    .replace(/\r?\n/g, '\\n')
    .replace(/\p{Cc}/gu, '');
}

/** A line of at most 75 bytes, and its rest on lines that begin with a space. */
function folded(line: string): string {
  let [result, bytes] = ['', 0];
  for (const character of line) {
    const size = Buffer.byteLength(character);
    if (bytes + size > 75) [result, bytes] = [`${result}\r\n `, 1];
    result += character;
    bytes += size;
  }
  return result;
}
