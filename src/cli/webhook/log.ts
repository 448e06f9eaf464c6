/**
 * The log of `webhook serve`, as text or as one JSON object per line. A reader that goes away or stands still must not
 * end or fill the service: lines that it does not take are counted and dropped. Owns the format, not the events.
 */
import { secretsOf } from '../../config.js';
import { logLines, type ReceiverEvent } from '../../webhook/receiver/log-lines.js';
import type { CommandContext } from '../command.js';
import { createOutput, type Output } from '../terminal/output.js';
import { silentProgress } from '../terminal/progress.js';
import { oneLine, redactSecrets } from '../terminal/sanitize.js';
import type { OutputStream } from '../terminal/terminal.js';

export interface ServiceLog {
  /** Where everything else of the service goes: tasks, start and stop. */
  output: Output;
  /** Writes the lines of an event. */
  event(event: ReceiverEvent): void;
  /** Lines that could not be written. */
  lost(): number;
}

export type LogFormat = 'text' | 'json';

type Level = 'debug' | 'info' | 'warn' | 'error';

/** Characters that may wait for a slow reader. */
const MAX_QUEUED = 1_048_576;

export function createServiceLog(
  { config, terminal, output: plain }: CommandContext,
  format: LogFormat,
): ServiceLog {
  const { options } = plain;
  const secrets = secretsOf(config);
  let lost = 0;
  const countLost = () => {
    lost++;
  };
  const stdout = dropping(terminal.stdout, countLost);
  const stderr = dropping(terminal.stderr, countLost);
  const text = createOutput({ ...terminal, stdout, stderr }, options);
  text.redact(secrets);
  const write = (level: Level, message: string, fields: object = {}) => {
    if (options.quiet && (level === 'info' || level === 'debug')) return;
    const line = JSON.stringify({ time: new Date().toISOString(), level, message, ...fields });
    // Under --json stdout belongs to the one document.
    const stream = options.json ? stderr : stdout;
    stream.write(`${redactSecrets(line, secrets)}\n`);
  };
  return {
    output: format === 'json' ? jsonOutput(plain, write) : text,
    event(event) {
      for (const { text: line, level } of logLines(event)) {
        if (format === 'json') write(level, line, fieldsOf(event));
        else if (level === 'error') text.warn(oneLine(line));
        else text.result(oneLine(line));
      }
    },
    lost: () => lost,
  };
}

/** A stream that drops what its reader does not take. */
function dropping(stream: OutputStream, onLost: () => void): OutputStream {
  return {
    ...(stream.isTTY === undefined ? {} : { isTTY: stream.isTTY }),
    ...(stream.columns === undefined ? {} : { columns: stream.columns }),
    write(text) {
      if ((stream.writableLength ?? 0) > MAX_QUEUED) onLost();
      else stream.write(text, (error) => (error ? onLost() : undefined));
    },
  };
}

function fieldsOf(event: ReceiverEvent): object {
  if (event.type === 'rejected') return { rejected: event.counts };
  if (event.type === 'not_stored') return { request_id: event.requestId };
  const { eventId, eventType } = event.result.delivery;
  const delivery = { event_type: eventType, event_id: eventId, status: event.result.status };
  if (event.type === 'retried') return delivery;
  const { requestId, durationMs, late } = event;
  return {
    request_id: requestId,
    ...delivery,
    duration_ms: Math.round(durationMs),
    ...(late ? { late } : {}),
  };
}

/** An output port whose lines are JSON. The document is printed as ever. */
function jsonOutput(plain: Output, write: (level: Level, message: string, fields?: object) => void): Output {
  return {
    ...plain,
    result: (text) => write('info', text),
    note: (text) => write('info', text),
    warn: (text) => write('warn', text),
    detail(text) {
      if (plain.options.verbose) write('debug', text);
    },
    error: ({ code, message, hint }) => write('error', message, { code, hint }),
    table: async () => {},
    progress: async () => silentProgress(),
  };
}
