/** Which pieces share a group, and when it begins. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createGroups, type GroupOptions } from '../../../src/webhook/receiver/group-commit.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Groups whose work ends when the test says so. */
function observed(options: Partial<GroupOptions<number, number>> = {}) {
  const begun: number[][] = [];
  const ends: ((failure?: Error) => void)[] = [];
  const groups = createGroups<number, number>({
    most: 10,
    atOnce: 2,
    gatherMs: 4,
    patienceMs: 20,
    run(group) {
      begun.push(group);
      return new Promise((resolve, reject) => {
        ends.push((failure) => (failure ? reject(failure) : resolve(group.map((one) => one * 10))));
      });
    },
    ...options,
  });
  const end = async (index: number, failure?: Error) => {
    ends[index]?.(failure);
    await turn();
    await turn();
  };
  return { groups, begun, end };
}

test('a piece that comes alone goes at once, and so does the next', async () => {
  const { groups, begun, end } = observed();
  for (const piece of [1, 2, 3]) {
    const done = groups.add(piece);
    await turn();
    expect(begun).toHaveLength(piece);
    await end(piece - 1);
    expect(await done).toBe(piece * 10);
  }
});

test('pieces of one turn are one group, and no group is larger than the most', async () => {
  const { groups, begun } = observed({ most: 3 });
  for (const piece of [1, 2, 3, 4]) void groups.add(piece);
  await turn();
  expect(begun).toEqual([[1, 2, 3]]);
  expect(groups.size()).toBe(4);
});

test('as many as came together last time are waited for, and no longer than that takes', async () => {
  const { groups, begun, end } = observed();
  for (const piece of [1, 2, 3]) void groups.add(piece);
  await turn();
  await end(0);
  for (const piece of [4, 5]) {
    void groups.add(piece);
    await turn();
  }
  expect(begun).toHaveLength(1);
  void groups.add(6);
  await turn();
  expect(begun).toEqual([
    [1, 2, 3],
    [4, 5, 6],
  ]);
});

test('what does not come is waited for once, and not for long', async () => {
  const { groups, begun, end } = observed();
  for (const piece of [1, 2, 3]) void groups.add(piece);
  await turn();
  await end(0);
  void groups.add(4);
  await turn();
  vi.advanceTimersByTime(3);
  expect(begun).toHaveLength(1);
  vi.advanceTimersByTime(1);
  expect(begun[1]).toEqual([4]);
  await end(1);
  void groups.add(5);
  await turn();
  expect(begun[2]).toEqual([5]);
});

test('what waits for a group that takes long begins beside it, up to so many at once', async () => {
  const { groups, begun, end } = observed();
  for (const piece of [1, 2, 3, 4]) {
    void groups.add(piece);
    await turn();
    vi.advanceTimersByTime(19);
    await turn();
    expect(begun).toHaveLength(Math.min(piece, 2));
    vi.advanceTimersByTime(1);
  }
  await end(1);
  vi.advanceTimersByTime(4);
  expect(begun).toEqual([[1], [2], [3, 4]]);
});

test('a failure is that of all its group and of nobody else; idle waits for everything', async () => {
  const { groups, begun, end } = observed();
  const failed = Promise.allSettled([groups.add(1), groups.add(2)]);
  await turn();
  const fine = groups.add(3);
  let idle = false;
  void groups.idle().then(() => {
    idle = true;
  });
  await end(0, new Error('away'));
  expect((await failed).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  vi.advanceTimersByTime(4);
  expect(begun[1]).toEqual([3]);
  expect(idle).toBe(false);
  await end(1);
  expect(await fine).toBe(30);
  expect(idle).toBe(true);
  expect(groups.size()).toBe(0);
});
