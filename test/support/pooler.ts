/**
 * A pooler in transaction mode like PgBouncer and Supavisor: each transaction runs on another backend than the one
 * before, settings and session locks stay with the backend, and unknown startup parameters are rejected.
 */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** Startup parameters that PgBouncer accepts. */
const KNOWN = new Set([
  'user',
  'database',
  'application_name',
  'client_encoding',
  'datestyle',
  'timezone',
  'standard_conforming_strings',
]);
const SSL_REQUEST = 80_877_103;
const CANCEL_REQUEST = 80_877_102;

interface Backend {
  socket: Socket;
  key: Buffer;
  client: Client | null;
}

interface Client {
  socket: Socket;
  backend: Backend | null;
  /** Messages that wait for a backend. */
  waiting: Buffer[];
  /** Queries and syncs that have not been answered. */
  outstanding: number;
}

/** Starts a pooler with `size` connections to that database. */
export async function startPooler(databaseUrl: string, size: number) {
  const target = new URL(databaseUrl);
  const backends = await Promise.all(Array.from({ length: size }, () => openBackend(target)));
  const clients = new Map<number, Client>();
  const queue: Client[] = [];
  let turn = 0;
  let secret = 1;

  const free = () => {
    for (let count = 0; count < backends.length; count++) {
      const backend = backends[turn++ % backends.length];
      if (backend && !backend.client) return backend;
    }
    return null;
  };
  const serve = (client: Client) => {
    if (client.waiting.length === 0) return;
    if (!client.backend) {
      const backend = free();
      if (!backend) {
        if (!queue.includes(client)) queue.push(client);
        return;
      }
      backend.client = client;
      client.backend = backend;
    }
    for (const message of client.waiting.splice(0)) client.backend.socket.write(message);
  };
  const release = (backend: Backend) => {
    if (backend.client) backend.client.backend = null;
    backend.client = null;
    const next = queue.shift();
    if (next) serve(next);
  };

  /** A client whose backend the server ends is disconnected, as by PgBouncer. */
  const watch = (backend: Backend) => {
    const { socket } = backend;
    socket.once('close', () => {
      if (backend.socket === socket) backend.client?.socket.destroy();
    });
  };

  for (const backend of backends) {
    watch(backend);
    const read = messages((type, message) => {
      const { client } = backend;
      client?.socket.write(message);
      if (type !== 'Z' || !client) return;
      client.outstanding--;
      if (client.outstanding === 0 && message.toString('latin1', 5, 6) === 'I') release(backend);
    });
    backend.socket.on('data', read);
  }

  const server = createServer({ noDelay: true }, (socket) => {
    const client: Client = { socket, backend: null, waiting: [], outstanding: 0 };
    const number = secret++;
    let started = false;
    let head = Buffer.alloc(0);
    const read = messages((type, message) => {
      if (type === 'X') return;
      if (type === 'Q' || type === 'S') client.outstanding++;
      client.waiting.push(message);
      serve(client);
    });
    socket.on('data', (data) => {
      if (started) return read(data);
      head = Buffer.concat([head, data]);
      while (!started && head.length >= 8 && head.length >= head.readInt32BE(0)) {
        const length = head.readInt32BE(0);
        const packet = head.subarray(0, length);
        head = head.subarray(length);
        const code = packet.readInt32BE(4);
        if (code === SSL_REQUEST) socket.write('N');
        else if (code === CANCEL_REQUEST) cancel(target, clients.get(packet.readInt32BE(8)), socket);
        else {
          const unknown = unknownParameter(packet);
          if (unknown) {
            socket.end(errorMessage('08P01', `unsupported startup parameter: ${unknown}`));
            return;
          }
          started = true;
          clients.set(number, client);
          socket.write(greeting(number));
          if (head.length > 0) read(head);
        }
      }
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      clients.delete(number);
      // If a client disconnects in a transaction, a pooler closes the backend too.
      const { backend } = client;
      if (!backend) return;
      void replace(target, backends, backend).then(() => {
        watch(backend);
        release(backend);
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const url = new URL(databaseUrl);
  url.port = String(typeof address === 'object' && address ? address.port : 0);
  url.hostname = '127.0.0.1';
  return {
    /** The URL of the database through the pooler. */
    url: url.href,
    /** How many clients are connected. */
    clients: () => clients.size,
    async stop() {
      for (const { socket } of clients.values()) socket.destroy();
      for (const { socket } of backends) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Calls `handle` with each complete message of a stream. */
function messages(handle: (type: string, message: Buffer) => void) {
  let rest = Buffer.alloc(0);
  return (data: Buffer) => {
    rest = Buffer.concat([rest, data]);
    while (rest.length >= 5 && rest.length >= rest.readInt32BE(1) + 1) {
      const length = rest.readInt32BE(1) + 1;
      const message = Buffer.from(rest.subarray(0, length));
      rest = rest.subarray(length);
      handle(message.toString('latin1', 0, 1), message);
    }
  };
}

async function openBackend(target: URL): Promise<Backend> {
  const socket = connect({ port: Number(target.port), host: target.hostname, noDelay: true });
  socket.on('error', () => {});
  const backend: Backend = { socket, key: Buffer.alloc(8), client: null };
  await new Promise<void>((resolve, reject) => {
    const read = messages((type, message) => {
      if (type === 'R' && message.readInt32BE(5) === 3) {
        socket.write(typed('p', `${decodeURIComponent(target.password)}\0`));
      }
      if (type === 'K') backend.key = message.subarray(5, 13);
      if (type === 'E') reject(new Error(message.toString('utf8', 5)));
      if (type !== 'Z') return;
      socket.off('data', read);
      resolve();
    });
    socket.on('data', read);
    socket.once('connect', () => {
      const body = `user\0${decodeURIComponent(target.username)}\0database\0${target.pathname.slice(1)}\0\0`;
      const packet = Buffer.alloc(8 + Buffer.byteLength(body));
      packet.writeInt32BE(packet.length, 0);
      packet.writeInt32BE(196_608, 4);
      packet.write(body, 8);
      socket.write(packet);
    });
  });
  return backend;
}

async function replace(target: URL, backends: Backend[], backend: Backend): Promise<void> {
  const listeners = backend.socket.listeners('data') as ((data: Buffer) => void)[];
  backend.socket.destroy();
  const { socket, key } = await openBackend(target);
  for (const listener of listeners) socket.on('data', listener);
  Object.assign(backend, { socket, key });
  if (!backends.includes(backend)) backends.push(backend);
}

function cancel(target: URL, client: Client | undefined, socket: Socket): void {
  if (!client?.backend) {
    socket.end();
    return;
  }
  const packet = Buffer.alloc(16);
  packet.writeInt32BE(16, 0);
  packet.writeInt32BE(CANCEL_REQUEST, 4);
  client.backend.key.copy(packet, 8);
  const to = connect(Number(target.port), target.hostname, () => to.end(packet));
  to.on('close', () => socket.end());
  to.on('error', () => socket.end());
}

function unknownParameter(packet: Buffer): string | undefined {
  const parts = packet.toString('utf8', 8).split('\0');
  return parts
    .filter((name, index) => index % 2 === 0 && name !== '')
    .find((name) => !KNOWN.has(name.toLowerCase()));
}

function greeting(number: number): Buffer {
  const ok = Buffer.alloc(4);
  const key = Buffer.alloc(8);
  key.writeInt32BE(number, 0);
  return Buffer.concat([
    typed('R', ok),
    typed('S', 'client_encoding\0UTF8\0'),
    typed('S', 'standard_conforming_strings\0on\0'),
    typed('K', key),
    typed('Z', 'I'),
  ]);
}

function errorMessage(code: string, text: string): Buffer {
  return typed('E', `SFATAL\0VFATAL\0C${code}\0M${text}\0\0`);
}

function typed(type: string, body: string | Buffer): Buffer {
  const bytes = Buffer.from(body);
  const head = Buffer.alloc(5);
  head.write(type, 0);
  head.writeInt32BE(bytes.length + 4, 1);
  return Buffer.concat([head, bytes]);
}
