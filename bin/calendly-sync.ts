#!/usr/bin/env node
/** Words in, exit code out. The first signal asks for a clean stop, the second leaves at once. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;
const words = process.argv.slice(2);

if (words.length === 1 && (words[0] === '--version' || words[0] === '-V')) {
  const { version } = await import('../src/version.js');
  process.stdout.write(`${version}\n`);
} else {
  const { processEnvironment } = await import('../src/config.js');
  const { run } = await import('../src/cli/run.js');
  const stop = new AbortController();
  let stoppedBy: keyof typeof SIGNALS | null = null;
  for (const name of Object.keys(SIGNALS) as (keyof typeof SIGNALS)[]) {
    process.on(name, () => {
      if (stoppedBy) process.exit(SIGNALS[name]);
      stoppedBy = name;
      stop.abort(new Error(`stopped by ${name}`));
    });
  }
  // `calendly-sync … | head` closes our stdout early; that is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  });
  const exitCode = await run(
    words,
    {
      stdout: process.stdout,
      stderr: process.stderr,
      stdin: process.stdin,
      environment: processEnvironment(),
      cwd: process.cwd(),
    },
    stop.signal,
  );
  process.exitCode = stoppedBy && exitCode !== 0 ? SIGNALS[stoppedBy] : exitCode;
}
