/** A TCP proxy in front of a distant database: it delays each direction, and counts the round trips. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** Starts a proxy that adds `roundTripMs` to each round trip. */
export async function startSlowProxy(databaseUrl: string, roundTripMs: number) {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  let roundTrips = 0;
  const proxy = createServer({ noDelay: true }, (client) => {
    const server = connect({ port: Number(target.port), host: target.hostname, noDelay: true });
    let asked = false;
    const later = (work: () => void) => setTimeout(work, roundTripMs / 2);
    client.on('data', (chunk) => later(() => server.write(chunk)));
    server.on('data', (chunk) => later(() => client.write(chunk)));
    // Whatever the client sends before the next response belongs to one round trip.
    client.on('data', () => {
      if (!asked) roundTrips++;
      asked = true;
    });
    server.on('data', () => later(() => (asked = false)));
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => later(() => other.destroy()));
    }
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = String((proxy.address() as AddressInfo).port);
  return {
    url: url.href,
    /** Round trips of all connections so far. */
    roundTrips: () => roundTrips,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => proxy.close(resolve));
    },
  };
}
