/** What a command line runs against: streams, environment, folder. Tests and the demo pass their own. */
import type { Environment } from '../../config.js';

/** The part of a writable stream that output needs. */
export interface OutputStream {
  write(text: string, callback?: (error?: Error | null) => void): unknown;
  /** What waits for the reader. */
  writableLength?: number;
  isTTY?: boolean;
  columns?: number;
}

export interface Terminal {
  stdout: OutputStream;
  stderr: OutputStream;
  stdin: NodeJS.ReadableStream & { isTTY?: boolean };
  environment: Environment;
  cwd: string;
}
