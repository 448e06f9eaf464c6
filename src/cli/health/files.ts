/** Files that others read at any time: written beside the old one, then renamed. */
import { rename, rm, writeFile } from 'node:fs/promises';
import { CalendlySyncError, messageOf } from '../../errors.js';
import { pageHtml } from '../../health/page.js';
import { readPageFacts } from '../../health/page-facts.js';
import type { HealthOptions, HealthReport } from '../../health/report.js';

/** Replaces a file as a whole. @throws CalendlySyncError `settings` if it cannot be written */
export async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    await writeFile(temporary, text);
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => {});
    throw new CalendlySyncError('settings', `Cannot write ${path}: ${messageOf(cause)}`, { cause });
  }
}

/** Makes the report and writes it as a page. */
export async function writePage(path: string, options: HealthOptions): Promise<HealthReport> {
  const facts = await readPageFacts(options);
  await replaceFile(path, pageHtml(facts));
  return facts.report;
}
