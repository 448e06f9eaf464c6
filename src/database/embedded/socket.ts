/**
 * The connection between postgres.js and a Postgres in the same process: a stream that looks like a socket and speaks
 * the Postgres protocol. Knows how messages are framed, and no SQL except the ROLLBACK of a session that broke off.
 */
import { Duplex } from 'node:stream';

/** The part of PGlite that the connection needs. After a crash every call must throw. */
export interface ProtocolEngine {
  execProtocolRawStream(
    message: Uint8Array,
    options: { onRawData: (bytes: Uint8Array) => void },
  ): Promise<void>;
  isInTransaction(): boolean;
}

const CANCEL_REQUEST = 80_877_102;
const TERMINATE = 'X'.charCodeAt(0);
/** The message of a simple query: type, length, text. */
const ROLLBACK = Buffer.from('Q\0\0\0\rrollback\0');

/** A new session on the engine. The engine has only one session, so the previous one must have ended. */
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

  /** postgres.js reads net.Socket's `readyState` before it terminates a session. */
  get readyState(): 'open' | 'closed' {
    return this.destroyed || this.writableEnded ? 'closed' : 'open';
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error) => void): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    // Continued in a later turn of the event loop: a row of queries must not starve timers, signals and other sockets.
    this.#answerAll().then(
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
    this.#engine.execProtocolRawStream(ROLLBACK, { onRawData() {} }).then(
      () => done(error),
      (failure: Error) => done(error ?? failure),
    );
  }

  /**
   * Passes every complete message to the engine, one by one, and sends back its answers. An error of the engine
   * closes the socket.
   */
  async #answerAll(): Promise<void> {
    for (let next = this.#nextMessage(); next !== null; next = this.#nextMessage()) {
      if (!this.#started && next.readInt32BE(4) === CANCEL_REQUEST) {
        // Nothing to cancel: while the engine runs a query, this process does nothing else.
        this.destroy();
        return;
      }
      if (!this.#started || next[0] !== TERMINATE) this.push(await this.#ask(next));
      this.#started = true;
    }
  }

  async #ask(request: Buffer): Promise<Buffer> {
    const answer: Buffer[] = [];
    await this.#engine.execProtocolRawStream(request, {
      // A copy, because the bytes are a view into the engine's memory.
      onRawData: (bytes) => answer.push(Buffer.from(bytes)),
    });
    return Buffer.concat(answer);
  }

  #nextMessage(): Buffer | null {
    // The first message of a session has no type byte before its length.
    const typeBytes = this.#started ? 1 : 0;
    if (this.#received.length < typeBytes + 4) return null;
    const length = typeBytes + this.#received.readInt32BE(typeBytes);
    if (this.#received.length < length) return null;
    const next = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    return next;
  }
}
