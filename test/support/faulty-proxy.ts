/** A TCP proxy in front of Postgres whose connections can be delayed, swallowed, reset, or stopped at a certain text. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** One connection: while it is silent, nothing passes in either direction, and nobody learns that the other ended. */
interface Link {
  client: Socket;
  server: Socket;
  silent: boolean;
  /** The server has spoken last. */
  answered: boolean;
}

/**
 * Starts a proxy; it ends with the test.
 * @param keepaliveMs when the server learns that the other end of a swallowed connection is gone, as by TCP keepalive;
 * null: never
 */
export async function startFaultyProxy(databaseUrl: string, keepaliveMs: number | null = null) {
  const target = new URL(databaseUrl);
  const links = new Set<Link>();
  let trap: string | null = null;
  let turns = 0;
  let delayMs = 0;
  const forward = (link: Link, to: Socket, chunk: Buffer) => {
    if (trap !== null && to === link.server && chunk.includes(trap)) {
      trap = null;
      link.silent = true;
    }
    if (to === link.server && link.answered) turns++;
    link.answered = to === link.client;
    if (link.silent) return;
    if (delayMs === 0) to.write(chunk);
    else setTimeout(() => to.write(chunk), delayMs);
  };
  const proxy = createServer((client) => {
    const server = connect(Number(target.port), target.hostname);
    const link: Link = { client, server, silent: false, answered: true };
    links.add(link);
    const closed = (other: Socket) => () => {
      if (!link.silent) other.destroy();
    };
    client.on('data', (chunk) => forward(link, server, chunk)).on('error', () => {});
    server.on('data', (chunk) => forward(link, client, chunk)).on('error', () => {});
    client.on('close', () => {
      closed(server)();
      if (link.silent && keepaliveMs !== null) setTimeout(() => server.destroy(), keepaliveMs).unref();
    });
    server.on('close', closed(client));
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const cut = () => {
    for (const { client, server } of links) {
      client.destroy();
      server.destroy();
    }
    links.clear();
  };
  onTestFinished(() => {
    cut();
    proxy.close();
  });
  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = String((proxy.address() as AddressInfo).port);
  return {
    url: url.href,
    /** Closes all connections on both sides. */
    cut,
    /** From now on each packet takes that long. Later packets may not take less: they would overtake. */
    delay(ms: number) {
      delayMs = ms;
    },
    /** Resets one of the open connections on both sides, or swallows what it sends from now on. */
    harm(how: 'reset' | 'swallow', random: number) {
      const working = [...links].filter(({ silent }) => !silent);
      const link = working[Math.floor(random * working.length)];
      if (!link) return;
      link.silent = true;
      if (how === 'swallow') return;
      link.client.resetAndDestroy();
      link.server.resetAndDestroy();
    },
    /** From now on nothing passes on the connections that are open; new ones work. */
    swallow() {
      for (const link of links) link.silent = true;
    },
    /** The next connection that sends this text is swallowed before it. */
    swallowAt(text: string) {
      trap = text;
    },
    /** How often a client has spoken after the server: round trips so far, when there is one connection. */
    turns: () => turns,
    /** Whether a connection was swallowed at the text. */
    trapped: () => trap === null,
  };
}
