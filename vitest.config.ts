import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    // A tenth of the pauses between retries that users get.
    env: { CALENDLY_SYNC_TEST_PACE: '0.1' },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // A poll waits for something that happens at once; on a busy machine that may take its time.
    expect: { poll: { timeout: 15_000 } },
    // Two at a time: more only fight for the same small machine's cores.
    maxWorkers: 2,
  },
});
