import { expect, test } from 'vitest';
import { createByteBudget } from '../../../src/webhook/receiver/byte-budget.js';

test('beyond the limit the body that has been arriving for longest is given up', () => {
  const evicted: string[] = [];
  const budget = createByteBudget(100);
  const open = (name: string) => budget.open(() => evicted.push(name));
  const [first, second, third] = [open('first'), open('second'), open('third')];
  expect([first.add(60), second.add(40)]).toEqual([true, true]);
  expect(third.add(10)).toBe(true);
  expect(evicted).toEqual(['first']);
  expect(first.add(1)).toBe(false);
  expect(budget.used()).toBe(50);
});

test('a body that is complete and authentic is never given up, and counts until it is released', () => {
  const budget = createByteBudget(100);
  const kept = budget.open(() => expect.fail('it was given up'));
  kept.add(80);
  kept.keep();
  const other = budget.open(() => {});
  expect(other.add(30)).toBe(false);
  expect(budget.used()).toBe(80);
  kept.release();
  expect(budget.used()).toBe(0);
});
