/** Shows a report: as a table with bars on a terminal, as tab-separated lines elsewhere, or as CSV. */
import type { Report } from '../../reports/report.js';
import type { CommandContext } from '../command.js';
import { cellText, csv } from '../terminal/formats.js';

const BAR_COLUMNS = 20;

export async function showReport(
  { output, terminal }: CommandContext,
  { report, axis, from, to, timezones, columns, rows }: Report,
  chart: string,
  asCsv: boolean,
): Promise<void> {
  if (asCsv) {
    output.raw(
      csv(
        columns,
        rows.map((row) => columns.map((name) => row[name])),
      ),
    );
    return;
  }
  const when = axis === 'booked' ? 'by the day of booking' : 'by the day of the meeting';
  const range = [from && `from ${from}`, to && `before ${to}`].filter(Boolean).join(' ');
  const zones = timezones.length > 3 ? `${timezones.length} time zones` : timezones.join(', ');
  if (terminal.stdout.isTTY) {
    output.result(['Report', report, when, range, zones && `(${zones})`].filter(Boolean).join(' '), 'strong');
  }
  if (rows.length === 0) {
    output.result('No bookings.');
    return;
  }
  // What is the same in all rows stands in the title.
  const shown = columns.filter(
    (name) => name !== 'axis' && (name !== 'timezone' || timezones.length > 1 || !terminal.stdout.isTTY),
  );
  const max = Math.max(...rows.map((row) => Number(row[chart]) || 0));
  const cells = rows.map((row) => shown.map((name) => cellText(row[name])));
  if (!terminal.stdout.isTTY) return output.table(shown, cells);
  const bars = rows.map((row) =>
    '█'.repeat(Math.round(((Number(row[chart]) || 0) / (max || 1)) * BAR_COLUMNS)),
  );
  await output.table(
    [...shown.map((name) => name.replaceAll('_', ' ')), chart],
    cells.map((row, index) => [...row, { text: bars[index] ?? '', tone: 'good' }]),
  );
}
