/**
 * The connection between postgres.js and a Postgres in the same process: a stream that looks like a socket and speaks
 * the Postgres protocol. Knows how messages are framed, and no SQL except the ROLLBACK of a session that broke off.
 */
import { Duplex } from 'node:stream';

/** A Postgres that processes one message of the protocol at a time. After a crash every call must throw. */
export interface ProtocolEngine {
  answer(message: Buffer): Promise<Buffer>;
  isInTransaction(): boolean;
}

const CANCEL_REQUEST = 80_877_102;
const TERMINATE = 'X'.charCodeAt(0);
/** The message of a simple query: type, length, text. */
const ROLLBACK = Buffer.from('Q\0\0\0\rrollback\0');

/** A new session on the engine. The engine has only one session, so the previous one must have ended. */
export function embeddedSocket(engine: ProtocolEngine): Duplex {
  let received: Buffer = Buffer.alloc(0);
  let started = false;

  function nextMessage(): Buffer | null {
    // The first message of a session has no type byte before its length.
    const typeBytes = started ? 1 : 0;
    if (received.length < typeBytes + 4) return null;
    const length = typeBytes + received.readInt32BE(typeBytes);
    if (received.length < length) return null;
    const next = received.subarray(0, length);
    received = received.subarray(length);
    return next;
  }

  /** Passes every complete message to the engine, one by one, and sends back its answers. */
  async function answerAll(): Promise<void> {
    for (let next = nextMessage(); next !== null; next = nextMessage()) {
      if (!started && next.readInt32BE(4) === CANCEL_REQUEST) {
        // Nothing to cancel: while the engine runs a query, this process does nothing else.
        socket.destroy();
        return;
      }
      if (!started || next[0] !== TERMINATE) socket.push(await engine.answer(next));
      started = true;
    }
  }

  const socket = new Duplex({
    allowHalfOpen: false,
    read() {},
    write(chunk: Buffer, _encoding, done) {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      // Continued in a later turn of the event loop: a row of queries must not starve timers, signals and other
      // sockets. An error of the engine closes the socket.
      answerAll().then(
        () => setImmediate(done),
        (error: Error) => setImmediate(done, error),
      );
    },
    final(done) {
      socket.push(null);
      done();
    },
    destroy(error, done) {
      const rollback = started && engine.isInTransaction() ? engine.answer(ROLLBACK) : Promise.resolve();
      rollback.then(
        () => done(error),
        (failure: Error) => done(error ?? failure),
      );
    },
  });
  // postgres.js reads net.Socket's `readyState` before it terminates a session.
  return Object.defineProperty(socket, 'readyState', {
    get: () => (socket.destroyed || socket.writableEnded ? 'closed' : 'open'),
  });
}
