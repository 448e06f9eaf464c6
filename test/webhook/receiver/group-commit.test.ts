/** Which items share a batch, and when it starts. */
import { expect, test } from 'vitest';
import {
  createGroupCommit,
  type Entry,
  type GroupCommitOptions,
} from '../../../src/webhook/receiver/group-commit.js';

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A group commit whose batches end when the test says so. */
function observed(options: Partial<GroupCommitOptions<number, number>> = {}) {
  const started: number[][] = [];
  const ends: ((failure?: Error) => void)[] = [];
  const add = createGroupCommit<number, number>({
    maxBatch: 10,
    maxConcurrent: 2,
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
  return { add, started, end };
}

test('an item that arrives alone starts at once, and so does the next', async () => {
  const { add, started, end } = observed();
  for (const item of [1, 2, 3]) {
    const done = add(item);
    await turn();
    expect(started).toHaveLength(item);
    await end(item - 1);
    expect(await done).toBe(item * 10);
  }
});

test('items of one turn share a batch, up to its maximum size', async () => {
  const { add, started } = observed({ maxBatch: 3 });
  for (const item of [1, 2, 3, 4]) void add(item);
  await turn();
  await turn();
  expect(started).toEqual([[1, 2, 3], [4]]);
});

test('a batch starts beside a running one, and what arrives while as many as may are running shares the next', async () => {
  const { add, started, end } = observed();
  for (const item of [1, 2, 3, 4]) {
    void add(item);
    await turn();
  }
  expect(started).toEqual([[1], [2]]);
  await end(1);
  expect(started).toEqual([[1], [2], [3, 4]]);
});

test('a failure rejects the items of its batch and no other', async () => {
  const { add, started, end } = observed({ maxConcurrent: 1 });
  const failed = Promise.allSettled([add(1), add(2)]);
  await turn();
  const fine = add(3);
  await end(0, new Error('away'));
  expect((await failed).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(started[1]).toEqual([3]);
  await end(1);
  expect(await fine).toBe(30);
});

test('an entry is settled before its batch ends, and one that is settled later holds back no batch', async () => {
  const entries: Entry<number, string>[] = [];
  let end = () => {};
  const add = createGroupCommit<number, string>({
    maxBatch: 2,
    maxConcurrent: 1,
    run(batch) {
      entries.push(...batch);
      return new Promise((resolve) => {
        end = resolve;
      });
    },
  });
  const [first, second, third] = [add(1), add(2), add(3)];
  await turn();
  entries[0]?.resolve('early');
  expect(await first).toBe('early');
  expect(entries).toHaveLength(2);
  end();
  await turn();
  await turn();
  expect(entries).toHaveLength(3);
  entries[2]?.resolve('next');
  expect(await third).toBe('next');
  entries[1]?.resolve('late');
  expect(await second).toBe('late');
});
