/** The Calendly client of a command: base URL from the settings, the command's signal, `--verbose` lines for requests. */
import { type CalendlyClient, createCalendlyClient } from '../calendly/client.js';
import type { HttpAttempt } from '../calendly/http.js';
import type { CommandContext } from './command.js';
import type { Output } from './terminal/output.js';

/** Creates the client of a token. */
export function clientFor(
  { config, output, signal }: Pick<CommandContext, 'config' | 'output' | 'signal'>,
  token: string,
): CalendlyClient {
  return createCalendlyClient({
    baseUrl: config.calendlyApiUrl,
    token,
    proxies: config,
    signal,
    onAttempt: (attempt) => showAttempt(output, attempt),
  });
}

/** The `--verbose` line of a request. */
export function showAttempt(output: Output, { method, path, outcome, latencyMs }: HttpAttempt): void {
  output.detail(`${method} ${path} → ${outcome}, ${latencyMs} ms`);
}
