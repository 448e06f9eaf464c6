/** Debian's Chromium through playwright-core, for tests of pages. */
import { existsSync } from 'node:fs';
import type { Browser } from 'playwright-core';

const PATHS = [
  process.env.CHROMIUM,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
];
const executablePath = PATHS.find((path) => path !== undefined && existsSync(path));

/** Whether there is one. In CI there must be one. */
export const hasBrowser = executablePath !== undefined || process.env.CI !== undefined;

/** Starts it without a window. */
export async function openBrowser(): Promise<Browser> {
  if (executablePath === undefined) throw new Error('Chromium is not installed: apt-get install chromium');
  const { chromium } = await import('playwright-core');
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}
