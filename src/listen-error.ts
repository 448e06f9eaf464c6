/** Why a server cannot listen on an address, and what to change. The same for every command that listens. */
import { CalendlySyncError } from './errors.js';

const ANOTHER_PORT = 'Choose another port with --port N; --port 0 takes a free one.';
const ANOTHER_HOST = 'Without --host it is 127.0.0.1.';

/** Explains an error of `listen` as a CalendlySyncError `settings`. */
export function listenError(
  cause: NodeJS.ErrnoException,
  { host, port }: { host: string; port: number },
): CalendlySyncError {
  const known: Record<string, [string, string]> = {
    EADDRINUSE: [`Port ${port} on ${host} is in use.`, ANOTHER_PORT],
    EACCES: [
      `This user may not listen on port ${port} of ${host}.`,
      'Choose a port above 1023 with --port N.',
    ],
    EADDRNOTAVAIL: [`${host} is not an address of this machine.`, ANOTHER_HOST],
    ENOTFOUND: [`The host name ${host} cannot be resolved.`, ANOTHER_HOST],
  };
  const [message, hint] = known[cause.code ?? ''] ?? [
    `Cannot listen on ${host}:${port}: ${cause.message}`,
    null,
  ];
  return new CalendlySyncError('settings', message, { hint, cause });
}
