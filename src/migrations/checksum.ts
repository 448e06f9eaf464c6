/** What makes two texts of a migration the same: everything but line endings and a byte order mark. Pure. */
import { createHash } from 'node:crypto';

/** The text without byte order mark and carriage returns: what editors and git change without being asked. */
export function normalised(text: string): string {
  return text.replace(/^\ufeff/, '').replaceAll('\r', '');
}

/** SHA-256 of the normalised text, in hex. */
export function checksum(text: string): string {
  return createHash('sha256').update(normalised(text)).digest('hex');
}
