/**
 * The wire between postgres.js and a Postgres in the same process: a stream that looks like a socket and speaks the
 * Postgres protocol. Knows the protocol's framing and nothing of SQL, but for the ROLLBACK of a session that broke off.
 */
import { Duplex } from 'node:stream';

/** The part of PGlite that the wire needs. After a crash every call must throw. */
export interface ProtocolEngine {
  execProtocolRawStream(
    message: Uint8Array,
    options: { onRawData: (bytes: Uint8Array) => void },
  ): Promise<void>;
  isInTransaction(): boolean;
}

const CANCEL_REQUEST = 80_877_102;
const TERMINATE = 'X'.charCodeAt(0);
const SIMPLE_QUERY = 'Q'.charCodeAt(0);
const SYNC = 'S'.charCodeAt(0);

/** A new session on the engine. The engine has one session only, so the one before must have ended. */
export function embeddedSocket(engine: ProtocolEngine): Duplex {
  return new EmbeddedSocket(engine);
}

class EmbeddedSocket extends Duplex {
  readonly #engine: ProtocolEngine;
  #received: Buffer = Buffer.alloc(0);
  #started = false;
  /** The engine threw, and the client was told so since its last Sync. */
  #failureTold = false;

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
    this.#engine.execProtocolRawStream(message('Q', 'rollback\0'), { onRawData() {} }).then(
      () => done(error),
      (failure: Error) => done(error ?? failure),
    );
  }

  /** Hands over every complete message, one by one, and sends back what the engine says to it. */
  async #answerAll(): Promise<void> {
    for (let next = this.#nextMessage(); next !== null; next = this.#nextMessage()) {
      if (this.#started) {
        if (next[0] !== TERMINATE) await this.#answer(next);
      } else if (next.readInt32BE(4) === CANCEL_REQUEST) {
        // It cannot be heard: while a query runs, the engine runs and nothing else.
        this.destroy();
        return;
      } else {
        this.push(await this.#ask(next));
        this.#started = true;
      }
    }
  }

  async #answer(request: Buffer): Promise<void> {
    try {
      this.push(await this.#ask(request));
    } catch (thrown) {
      this.#answerFailure(request, thrown);
    }
  }

  async #ask(request: Buffer): Promise<Buffer> {
    const answer: Buffer[] = [];
    await this.#engine.execProtocolRawStream(request, {
      // A copy, for the bytes are a view into the engine's memory.
      onRawData: (bytes) => answer.push(Buffer.from(bytes)),
    });
    return Buffer.concat(answer);
  }

  /**
   * A crashed engine answers like a server that refuses every statement. To close the socket instead would meet postgres.js
   * 3.4 while it rolls back, and then it writes to a socket that is null.
   */
  #answerFailure(request: Buffer, thrown: unknown): void {
    if (!this.#failureTold) {
      const text = thrown instanceof Error ? thrown.message : String(thrown);
      this.push(message('E', `SERROR\0VERROR\0CXX000\0M${text}\0\0`));
    }
    const ends = request[0] === SIMPLE_QUERY || request[0] === SYNC;
    if (ends) this.push(message('Z', 'I'));
    this.#failureTold = !ends;
  }

  #nextMessage(): Buffer | null {
    // A session's first message has no type byte before its length.
    const typeBytes = this.#started ? 1 : 0;
    if (this.#received.length < typeBytes + 4) return null;
    const length = typeBytes + this.#received.readInt32BE(typeBytes);
    if (this.#received.length < length) return null;
    const next = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    return next;
  }
}

/** A message of the protocol: type, length of what follows with itself, body. */
function message(type: string, body: string): Buffer {
  const bytes = Buffer.from(body);
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(bytes.length + 4, 1);
  return Buffer.concat([head, bytes]);
}
