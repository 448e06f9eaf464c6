/** Which items share a batch, and when it starts. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import {
  createGroupCommit,
  type Entry,
  type GroupCommitOptions,
} from '../../../src/webhook/receiver/group-commit.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A group commit whose batches end when the test says so. */
function observed(options: Partial<GroupCommitOptions<number, number>> = {}) {
  const started: number[][] = [];
  const ends: ((failure?: Error) => void)[] = [];
  const commits = createGroupCommit<number, number>({
    maxBatch: 10,
    maxConcurrent: 2,
    lingerMs: 4,
    slowAfterMs: 20,
    run(batch) {
      started.push(batch.map(({ item }) => item));
      return new Promise((resolve, reject) => {
        ends.push((failure) => {
          if (failure) return reject(failure);
          for (const entry of batch) entry.resolve(entry.item * 10);
          resolve();
        });
      });
    },
    ...options,
  });
  const end = async (index: number, failure?: Error) => {
    ends[index]?.(failure);
    await turn();
    await turn();
  };
  return { commits, started, end };
}

test('an item that arrives alone starts at once, and so does the next', async () => {
  const { commits, started, end } = observed();
  for (const item of [1, 2, 3]) {
    const done = commits.add(item);
    await turn();
    expect(started).toHaveLength(item);
    await end(item - 1);
    expect(await done).toBe(item * 10);
  }
});

test('items of one turn share a batch, up to its maximum size', async () => {
  const { commits, started } = observed({ maxBatch: 3 });
  for (const item of [1, 2, 3, 4]) void commits.add(item);
  await turn();
  expect(started).toEqual([[1, 2, 3]]);
  expect(commits.size()).toBe(4);
});

test('a batch starts as soon as as many items as last time have arrived', async () => {
  const { commits, started, end } = observed();
  for (const item of [1, 2, 3]) void commits.add(item);
  await turn();
  await end(0);
  for (const item of [4, 5]) {
    void commits.add(item);
    await turn();
  }
  expect(started).toHaveLength(1);
  void commits.add(6);
  await turn();
  expect(started).toEqual([
    [1, 2, 3],
    [4, 5, 6],
  ]);
});

test('items that do not arrive are waited for once, and only for the linger time', async () => {
  const { commits, started, end } = observed();
  for (const item of [1, 2, 3]) void commits.add(item);
  await turn();
  await end(0);
  void commits.add(4);
  await turn();
  vi.advanceTimersByTime(3);
  expect(started).toHaveLength(1);
  vi.advanceTimersByTime(1);
  expect(started[1]).toEqual([4]);
  await end(1);
  void commits.add(5);
  await turn();
  expect(started[2]).toEqual([5]);
});

test('beside a slow batch the next one starts, up to the maximum number at once', async () => {
  const { commits, started, end } = observed();
  for (const item of [1, 2, 3, 4]) {
    void commits.add(item);
    await turn();
    vi.advanceTimersByTime(19);
    await turn();
    expect(started).toHaveLength(Math.min(item, 2));
    vi.advanceTimersByTime(1);
  }
  await end(1);
  vi.advanceTimersByTime(4);
  expect(started).toEqual([[1], [2], [3, 4]]);
});

test('a failure rejects the items of its batch and no other, and idle waits for all', async () => {
  const { commits, started, end } = observed();
  const failed = Promise.allSettled([commits.add(1), commits.add(2)]);
  await turn();
  const fine = commits.add(3);
  let idle = false;
  void commits.idle().then(() => {
    idle = true;
  });
  await end(0, new Error('away'));
  expect((await failed).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  vi.advanceTimersByTime(4);
  expect(started[1]).toEqual([3]);
  expect(idle).toBe(false);
  await end(1);
  expect(await fine).toBe(30);
  expect(idle).toBe(true);
  expect(commits.size()).toBe(0);
});

test('an entry is settled before its batch ends, and one that is settled later holds back no batch', async () => {
  const entries: Entry<number, string>[] = [];
  let end = () => {};
  const commits = createGroupCommit<number, string>({
    maxBatch: 2,
    maxConcurrent: 1,
    lingerMs: 0,
    slowAfterMs: 20,
    run(batch) {
      entries.push(...batch);
      return new Promise((resolve) => {
        end = resolve;
      });
    },
  });
  const [first, second, third] = [commits.add(1), commits.add(2), commits.add(3)];
  await turn();
  entries[0]?.resolve('early');
  expect(await first).toBe('early');
  expect(entries).toHaveLength(2);
  end();
  await turn();
  vi.advanceTimersByTime(0);
  await turn();
  expect(entries).toHaveLength(3);
  entries[2]?.resolve('next');
  expect(await third).toBe('next');
  expect(commits.size()).toBe(1);
  entries[1]?.resolve('late');
  expect(await second).toBe('late');
});
