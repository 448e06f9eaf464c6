/** One child process per exit code: what the process itself exits with. 130 and 143 are tested where a signal is sent. */
import { expect, test } from 'vitest';
import { testDatabase } from '../support/database.js';
import { calendlySync, temporaryFolder } from '../support/program.js';
import { testSandbox } from '../support/sandbox.js';

const cases = [
  { code: 0, argv: ['--version'], stream: 'stdout', text: /^\d+\.\d+\.\d+\n$/ },
  { code: 0, argv: [], stream: 'stdout', text: /^Usage: calendly-sync/ },
  { code: 1, argv: ['sync'], stream: 'stderr', text: /https:\/\/calendly\.com\/integrations/ },
  { code: 2, argv: ['sink'], stream: 'stderr', text: /Did you mean sync\?/ },
  { code: 4, argv: ['health'], stream: 'stdout', text: /^✖ 2 problems/ },
  { code: 5, argv: ['health'], database: 'empty', stream: 'stderr', text: /calendly-sync migrate/ },
  { code: 75, argv: ['health', '--database-url', 'postgres://127.0.0.1:9/x'], stream: 'stderr', text: /:9/ },
] as const;

test.each(cases)('the process exits with $code for $argv', async ({ code, argv, stream, text, ...rest }) => {
  const sandbox = await testSandbox({ events: 0 });
  const { url } = await ('database' in rest ? testDatabase(rest.database) : testDatabase());
  const settings = { DATABASE_URL: url, CALENDLY_API_URL: sandbox.url, CALENDLY_TOKEN: 'not-a-token' };
  const result = await calendlySync([...argv], settings, { cwd: temporaryFolder() });
  expect(result.code).toBe(code);
  expect(result[stream]).toMatch(text);
  expect(result[stream === 'stdout' ? 'stderr' : 'stdout']).toBe('');
});
