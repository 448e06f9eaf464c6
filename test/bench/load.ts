/** Posts deliveries over keep-alive connections and measures the responses. Knows nothing of what receives them. */
import { createConnection, type Socket } from 'node:net';

export interface LoadFigures {
  per_second: number;
  p50_ms: number;
  p99_ms: number;
  max_ms: number;
  /** From POST to response for deliveries that come one at a time. */
  alone_p50_ms: number;
  alone_p99_ms: number;
  not_2xx: number;
}

/** Deliveries that are sent one at a time, after the others. */
const ALONE = 500;

/** @param requestText the HTTP request of a delivery, by its number */
export async function load(
  port: number,
  requestText: (index: number) => string,
  { deliveries, connections }: { deliveries: number; connections: number },
): Promise<LoadFigures> {
  const ms: number[] = [];
  let next = 0;
  let bad = 0;
  const sendNext = async (connection: Awaited<ReturnType<typeof connect>>, times: number[]) => {
    const request = requestText(next++);
    const sent = performance.now();
    const status = await connection.send(request);
    times.push(performance.now() - sent);
    if (status < 200 || status > 299) bad++;
  };
  const started = performance.now();
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const connection = await connect(port);
      while (next < deliveries) await sendNext(connection, ms);
      connection.end();
    }),
  );
  const seconds = (performance.now() - started) / 1_000;
  const alone: number[] = [];
  const connection = await connect(port);
  while (alone.length < ALONE) await sendNext(connection, alone);
  connection.end();
  return {
    per_second: Math.round(ms.length / seconds),
    p50_ms: percentile(ms, 0.5),
    p99_ms: percentile(ms, 0.99),
    max_ms: percentile(ms, 1),
    alone_p50_ms: percentile(alone, 0.5),
    alone_p99_ms: percentile(alone, 0.99),
    not_2xx: bad,
  };
}

/** One keep-alive connection without a client library: the CPU is for the receiver. */
async function connect(port: number) {
  const socket: Socket = createConnection(port, '127.0.0.1');
  socket.setNoDelay(true).setEncoding('latin1');
  let resolveStatus: (status: number) => void = () => {};
  let text = '';
  socket.on('data', (chunk: string) => {
    text += chunk;
    const end = text.indexOf('\r\n\r\n');
    if (end < 0) return;
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(text)?.[1] ?? Number.NaN);
    const complete = Number.isNaN(length) ? text.endsWith('0\r\n\r\n') : text.length >= end + 4 + length;
    if (!complete) return;
    const status = Number(text.slice(9, 12));
    text = '';
    resolveStatus(status);
  });
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  return {
    send: (request: string) =>
      new Promise<number>((resolve) => {
        resolveStatus = resolve;
        socket.write(request);
      }),
    end: () => socket.destroy(),
  };
}

function percentile(ms: number[], share: number): number {
  const sorted = [...ms].sort((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return Math.round(value * 100) / 100;
}
