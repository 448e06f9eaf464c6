/** The status page, in a real browser and by HTTP. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { hasBrowser, openBrowser } from '../support/browser.js';
import { runCli, runJson } from '../support/cli.js';
import { testDatabase } from '../support/database.js';
import { freePort } from '../support/free-port.js';
import { start, temporaryFolder } from '../support/program.js';
import { settingsOf, testSandbox } from '../support/sandbox.js';

let browser: Browser | null = null;
afterAll(() => browser?.close());

async function synced() {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 60 });
  const settings = {
    ...settingsOf(sandbox, url),
    CALENDLY_WEBHOOK_SIGNING_KEY: 'a-key-of-enough-characters',
  };
  expect((await runJson(['sync'], settings)).code).toBe(0);
  return { sql, sandbox, settings };
}

/** Starts `webhook serve` and returns its address. */
async function serving(settings: Record<string, string>, ...flags: string[]): Promise<string> {
  const port = await freePort();
  const running = start(['webhook', 'serve', '--port', String(port), ...flags], settings);
  onTestFinished(() => void running.child.kill('SIGKILL'));
  while (!running.output().stderr.includes('Listening'))
    await new Promise((resolve) => setTimeout(resolve, 30));
  return `http://127.0.0.1:${port}/`;
}

test.skipIf(!hasBrowser)(
  'the page shows the report at every width, light and dark, by keyboard, and loads nothing else',
  async () => {
    const { sql, settings } = await synced();
    await sql`update users set email = ${'<b>姓名</b>@example.com'}`;
    const page = await serving(settings);
    browser = await openBrowser();
    const pictures = process.env.PICTURES;
    if (pictures) mkdirSync(pictures, { recursive: true });
    for (const width of [360, 800, 1400])
      for (const colorScheme of ['light', 'dark'] as const) {
        const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
        const tab = await context.newPage();
        const [requests, problems]: [string[], string[]] = [[], []];
        tab.on('request', (request) => requests.push(request.url()));
        tab.on('console', (message) => problems.push(message.text()));
        tab.on('pageerror', (error) => problems.push(error.message));
        await tab.goto(page);
        expect(await tab.textContent('h1')).toContain('Healthy');
        expect(await tab.textContent('article h3')).toContain('<b>姓名</b>@example.com');
        expect(await tab.locator('section h2').allTextContents()).toContain('Next meetings');
        const scrolls = await tab.evaluate('document.documentElement.scrollWidth > innerWidth');
        expect(scrolls, `${width} px scrolls sideways`).toBe(false);
        // Each table can be reached by Tab, and opened.
        const reached = new Set<string>();
        for (let presses = 0; presses < 20; presses++) {
          await tab.keyboard.press('Tab');
          reached.add(await tab.evaluate('document.activeElement.tagName'));
        }
        expect(reached).toContain('SUMMARY');
        expect(requests.filter((url) => !url.endsWith('/favicon.ico'))).toEqual([page]);
        expect(problems.filter((text) => !text.includes('favicon'))).toEqual([]);
        const [background, color] = (await tab.evaluate(
          '[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]',
        )) as [string, string];
        expect(brightness(background) > brightness(color)).toBe(colorScheme === 'light');
        if (pictures)
          await tab.screenshot({ path: join(pictures, `${width}-${colorScheme}.png`), fullPage: true });
        await context.close();
      }
  },
);

function brightness(color: string): number {
  return (color.match(/\d+/g) ?? []).slice(0, 3).reduce((sum, value) => sum + Number(value), 0);
}

test('the page is for this machine alone unless a password is set, and names no guest', async () => {
  const { sql, sandbox, settings } = await synced();
  const local = await serving(settings);
  const shown = await fetch(local);
  const html = await shown.text();
  expect(shown.headers.get('content-security-policy')).toContain("default-src 'none'");
  expect(html).not.toContain('<script');
  const people = await sql<
    { email: string }[]
  >`select distinct email from meeting_invitees where email is not null`;
  expect(people.filter(({ email }) => html.includes(email))).toEqual([]);
  expect(html).not.toContain(sandbox.hosts[0]?.token ?? 'none');
  expect((await fetch(local, { headers: { 'x-forwarded-for': '203.0.113.9' } })).status).toBe(404);

  const file = join(temporaryFolder(), 'password');
  writeFileSync(file, 'a password of the page\n');
  const guarded = await serving(settings, '--host', '0.0.0.0', '--page-token-file', file);
  expect((await fetch(guarded)).status).toBe(401);
  const authorization = (password: string) => `Basic ${Buffer.from(`me:${password}`).toString('base64')}`;
  const ask = (password: string) => fetch(guarded, { headers: { authorization: authorization(password) } });
  expect((await ask('another password')).status).toBe(401);
  expect((await ask('a password of the page')).status).toBe(200);
});

test('health --html writes the same page into a file', async () => {
  const { settings } = await synced();
  const file = join(temporaryFolder(), 'health.html');
  const { code, stderr } = await runCli(['health', '--html', file], settings);
  expect({ code, stderr }).toMatchObject({ code: 0 });
  expect(readFileSync(file, 'utf8')).toContain('<h1>✔ Healthy</h1>');
});
