/** Posts requests over keep-alive connections and measures the responses. Knows nothing of what receives them. */
import { createConnection, type Socket } from 'node:net';

export interface Load {
  per_second: number;
  /** From each POST to its response, in ms. */
  ms: number[];
  not_2xx: number;
}

/** Sends all requests, over as many connections. They are made before the clock starts. */
export async function load(port: number, requests: string[], connections: number): Promise<Load> {
  const open = await Promise.all(Array.from({ length: connections }, () => connect(port)));
  const ms: number[] = [];
  let next = 0;
  let bad = 0;
  const started = performance.now();
  await Promise.all(
    open.map(async (connection) => {
      for (let request = requests[next++]; request !== undefined; request = requests[next++]) {
        const sent = performance.now();
        const status = await connection.send(request);
        ms.push(performance.now() - sent);
        if (status < 200 || status > 299) bad++;
      }
    }),
  );
  const seconds = (performance.now() - started) / 1_000;
  for (const connection of open) connection.end();
  return { per_second: Math.round(ms.length / seconds), ms, not_2xx: bad };
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

/** The value below which that share of the values lies. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
