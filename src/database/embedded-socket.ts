/**
 * The wire between postgres.js and a Postgres in the same process: a stream that looks like a socket and speaks the
 * Postgres protocol. Knows the protocol's framing and nothing of SQL, but for the ROLLBACK of a session that broke off.
 */
import { Duplex } from 'node:stream';

/** The part of PGlite that the wire needs. */
export interface ProtocolEngine {
  execProtocolRawStream(
    message: Uint8Array,
    options: { onRawData: (bytes: Uint8Array) => void },
  ): Promise<void>;
  isInTransaction(): boolean;
}

const CANCEL_REQUEST = 80_877_102;
const TERMINATE = 'X'.charCodeAt(0);

/** A new session on the engine. The engine has one session only, so the one before must have ended. */
export function embeddedSocket(engine: ProtocolEngine): Duplex {
  return new EmbeddedSocket(engine);
}

class EmbeddedSocket extends Duplex {
  readonly #engine: ProtocolEngine;
  #received: Buffer = Buffer.alloc(0);
  #started = false;

  constructor(engine: ProtocolEngine) {
    super({ allowHalfOpen: false });
    this.#engine = engine;
  }

  /** postgres.js asks net.Socket's `readyState` before it says goodbye. */
  get readyState(): 'open' | 'closed' {
    return this.destroyed || this.writableEnded ? 'closed' : 'open';
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error) => void): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    // Answered in a later turn of the loop: query after query must not starve timers, signals and other sockets.
    this.#answer().then(
      () => setImmediate(done),
      (error: Error) => setImmediate(done, error),
    );
  }

  override _final(done: () => void): void {
    this.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.#started || !this.#engine.isInTransaction()) {
      done(error);
      return;
    }
    this.#engine.execProtocolRawStream(rollback, { onRawData() {} }).then(
      () => done(error),
      (failure: Error) => done(error ?? failure),
    );
  }

  /** Hands over every complete message, one by one, and sends back what the engine says to it. */
  async #answer(): Promise<void> {
    for (let message = this.#nextMessage(); message !== null; message = this.#nextMessage()) {
      if (!this.#started) {
        if (message.readInt32BE(4) === CANCEL_REQUEST) {
          // It cannot be heard: while a query runs, the engine runs and nothing else.
          this.destroy();
          return;
        }
        this.#started = true;
      } else if (message[0] === TERMINATE) continue;
      await this.#engine.execProtocolRawStream(message, {
        // A copy, for the bytes are a view into the engine's memory.
        onRawData: (bytes) => this.push(Buffer.from(bytes)),
      });
    }
  }

  #nextMessage(): Buffer | null {
    // A session's first message has no type byte before its length.
    const typeBytes = this.#started ? 1 : 0;
    if (this.#received.length < typeBytes + 4) return null;
    const length = typeBytes + this.#received.readInt32BE(typeBytes);
    if (this.#received.length < length) return null;
    const message = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    return message;
  }
}

/** A simple query: type, length of what follows with itself, text, zero byte. */
function simpleQuery(text: string): Buffer {
  const body = Buffer.from(`${text}\0`);
  const head = Buffer.alloc(5);
  head.write('Q');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

const rollback = simpleQuery('rollback');
