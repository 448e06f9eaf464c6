/** The `--verbose` line of each request to Calendly. */
import type { HttpAttempt } from '../calendly/http.js';
import type { Output } from './terminal/output.js';

export function showAttempt(output: Output) {
  return ({ method, path, outcome, latencyMs }: HttpAttempt): void =>
    output.detail(`${method} ${path} → ${outcome}, ${latencyMs} ms`);
}
