/**
 * The backup file: gzipped lines of JSON, one section per migration that was undone, each closed by its count and checksum.
 * A section is on disk before its tables are dropped. Knows no database.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  openSync,
  rmSync,
  statSync,
  truncateSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { finished } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { CalendlySyncError } from '../../errors.js';

/** The first line of a section. */
export interface SectionHead {
  calendly_sync_backup: 1;
  version: string;
  name: string;
  at: string;
  /** Where it came from, for people. */
  database: string;
}

/** What the lines after it are rows of: arrays of the columns' values as Postgres writes them in text. */
export interface TableHead {
  table: string;
  /** `rows`: whole rows; `columns`: the first value is the row's id. */
  kind: 'rows' | 'columns';
  columns: string[];
}

interface SectionEnd {
  end: string;
  rows: number;
  sha256: string;
}

/** A section that is being written. */
export interface SectionWriter {
  table(head: TableHead): Promise<void>;
  /** One row, as JSON. */
  row(json: string): Promise<void>;
  /** Closes the section and waits until it is on disk. */
  end(): Promise<void>;
  /** Takes back what was written of this section. */
  discard(): Promise<void>;
  readonly rows: number;
}

/** Begins a section at the end of the file; makes the file, readable by its owner only. */
export function beginSection(path: string, head: SectionHead): SectionWriter {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const start = existsSync(path) ? statSync(path).size : 0;
  const gzip = createGzip();
  const file = createWriteStream(path, { fd: openSync(path, 'a', 0o600) });
  const written = finished(file);
  written.catch(() => {});
  gzip.pipe(file);
  const hash = createHash('sha256');
  let rows = 0;
  const line = async (text: string) => {
    hash.update(`${text}\n`);
    // `finished` turns a full disk into an error here, where a wait for "drain" alone would never end.
    if (!gzip.write(`${text}\n`)) await Promise.race([once(gzip, 'drain'), written]);
  };
  const opened = line(JSON.stringify(head));
  return {
    get rows() {
      return rows;
    },
    async table(tableHead) {
      await opened;
      await line(JSON.stringify(tableHead));
    },
    async row(json) {
      rows++;
      await line(json);
    },
    async end() {
      const end: SectionEnd = { end: head.version, rows, sha256: hash.digest('hex') };
      gzip.end(`${JSON.stringify(end)}\n`);
      await written;
      const handle = await open(path, 'r+');
      await handle.sync().finally(() => handle.close());
    },
    async discard() {
      gzip.destroy();
      file.destroy();
      await written.catch(() => {});
      if (start === 0) rmSync(path, { force: true });
      else truncateSync(path, start);
    },
  };
}

/** What a reader gets to see, line by line. */
export interface SectionReader {
  head?(head: SectionHead): unknown;
  table?(head: TableHead, section: SectionHead): unknown;
  row?(json: string, head: TableHead, section: SectionHead): unknown;
  end?(section: SectionHead): unknown;
}

/**
 * Reads the file from its beginning to its end. A last section that breaks off is left out: what it was about to save was not dropped.
 * @returns the sections that are whole
 * @throws CalendlySyncError `usage` when it is no backup, `failed` when its content does not fit its checksums
 */
export async function readBackup(path: string, reader: SectionReader = {}): Promise<SectionHead[]> {
  const whole: SectionHead[] = [];
  let section: SectionHead | null = null;
  let table: TableHead | null = null;
  let hash = createHash('sha256');
  let rows = 0;
  try {
    for await (const line of linesOf(path)) {
      const value: unknown = JSON.parse(line);
      if (Array.isArray(value)) {
        if (!section || !table) throw damaged(path);
        rows++;
        await reader.row?.(line, table, section);
      } else if (isHead(value)) {
        section = value;
        table = null;
        rows = 0;
        hash = createHash('sha256');
        await reader.head?.(section);
      } else if (isEnd(value)) {
        if (!section || value.rows !== rows || value.sha256 !== hash.digest('hex')) throw damaged(path);
        await reader.end?.(section);
        whole.push(section);
        section = null;
        continue;
      } else if (isTable(value) && section) {
        table = value;
        await reader.table?.(table, section);
      } else throw damaged(path);
      hash.update(`${line}\n`);
    }
  } catch (thrown) {
    const code = (thrown as NodeJS.ErrnoException).code;
    if (code === 'Z_BUF_ERROR' && whole.length > 0) return whole;
    if (thrown instanceof SyntaxError || code?.startsWith('Z_')) throw damaged(path, thrown);
    if (code === 'ENOENT' || code === 'EISDIR' || code === 'EACCES') {
      throw new CalendlySyncError('usage', `The backup ${path} cannot be read (${code}).`, { cause: thrown });
    }
    throw thrown;
  }
  if (whole.length === 0) throw damaged(path);
  return whole;
}

function linesOf(path: string): AsyncIterable<string> {
  const source = createReadStream(path);
  const gunzip = createGunzip();
  source.on('error', (error) => gunzip.destroy(error));
  source.pipe(gunzip);
  const lines = createInterface({ input: gunzip, crlfDelay: Number.POSITIVE_INFINITY });
  // readline does not pass its input's errors on.
  const failed = new Promise<never>((_, reject) => gunzip.once('error', reject));
  failed.catch(() => {});
  return {
    async *[Symbol.asyncIterator]() {
      const iterator = lines[Symbol.asyncIterator]();
      for (;;) {
        const next = await Promise.race([iterator.next(), failed]);
        if (next.done) {
          if (gunzip.errored) throw gunzip.errored;
          return;
        }
        yield next.value;
      }
    },
  };
}

function isHead(value: unknown): value is SectionHead {
  return (
    typeof value === 'object' &&
    value !== null &&
    'calendly_sync_backup' in value &&
    value.calendly_sync_backup === 1
  );
}

function isTable(value: unknown): value is TableHead {
  return typeof value === 'object' && value !== null && 'table' in value && 'columns' in value;
}

function isEnd(value: unknown): value is SectionEnd {
  return typeof value === 'object' && value !== null && 'end' in value && 'sha256' in value;
}

function damaged(path: string, cause?: unknown): CalendlySyncError {
  return new CalendlySyncError(
    'failed',
    `${path} is damaged, or no backup of calendly-sync; nothing was restored.`,
    {
      hint: 'Take another copy of the file.',
      cause,
    },
  );
}
