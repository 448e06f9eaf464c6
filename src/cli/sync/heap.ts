/** Keeps the memory of a long sync small. */
import { setFlagsFromString } from 'node:v8';

/**
 * Lets the heap grow by a fifth between two collections. V8's own heuristic lets it grow to several times of what is alive
 * on a machine with much memory. A sync waits for the network most of the time, so the collector costs nothing.
 */
export function limitHeapGrowth(): void {
  setFlagsFromString('--heap-growing-percent=20');
}
