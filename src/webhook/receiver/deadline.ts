/** A time limit for a promise. The work itself goes on. */

/** Settles like `work`, or like `onTimeout()` if that takes longer than `ms`. */
export function withDeadline<T>(work: Promise<T>, ms: number, onTimeout: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    // An executor of its own: what `onTimeout` throws rejects.
    const timer = setTimeout(() => resolve(new Promise((settle) => settle(onTimeout()))), ms);
    const done = () => clearTimeout(timer);
    work.then(done, done);
    work.then(resolve, reject);
  });
}
