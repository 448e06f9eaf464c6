import { expect, test } from 'vitest';
import { exitCodeOf } from '../../src/cli/exit-codes.js';
import { ERROR_CODES } from '../../src/errors.js';

test('every error code has the documented exit code', () => {
  const byExitCode: Record<number, string[]> = {};
  for (const code of ERROR_CODES) {
    const codes = byExitCode[exitCodeOf(code)] ?? [];
    byExitCode[exitCodeOf(code)] = [...codes, code];
  }
  expect(byExitCode).toEqual({
    1: expect.arrayContaining(['failed', 'database_failed', 'preflight', 'calendly_unauthorized', 'stopped']),
    2: ['usage', 'settings', 'user_unknown', 'database_refused'],
    3: ['partly'],
    5: ['schema_not_ready'],
    75: ['database_unreachable', 'locked', 'calendly_unreachable'],
  });
});
