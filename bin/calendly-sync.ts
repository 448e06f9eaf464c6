#!/usr/bin/env node
/** Arguments in, exit code out. The first signal asks for a clean stop, the second one exits at once. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;
const argv = process.argv.slice(2);

if (argv.length === 1 && (argv[0] === '--version' || argv[0] === '-V')) {
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
  // `calendly-sync … | head` closes our stdout early; the work and its exit code stay the same.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  const { stdout, stderr, stdin } = process;
  const terminal = { stdout, stderr, stdin, environment: processEnvironment(), cwd: process.cwd() };
  const exitCode = await run(argv, terminal, stop.signal);
  process.exitCode = stoppedBy && exitCode !== 0 ? SIGNALS[stoppedBy] : exitCode;
}
