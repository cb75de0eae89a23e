import { expect, test } from 'vitest';

import { formatMs, RoundTrips } from './round-trips';

test('keeps the newest', () => {
  const trips = new RoundTrips(3);
  for (const sample of [1, 2, null, 4]) trips.add(sample);
  expect(trips.samples).toEqual([2, null, 4]);
  expect(trips.last).toBe(4);
});

test('a quantile passes over lost ones', () => {
  const trips = new RoundTrips();
  for (const sample of [5, null, 1, 4, 2, 3]) trips.add(sample);
  expect(trips.quantile(0.5)).toBe(3);
  expect(trips.quantile(0.95)).toBe(5);
  expect(trips.quantile(0)).toBe(1);
});

test('nothing measured is nothing known', () => {
  const trips = new RoundTrips();
  expect(trips.quantile(0.5)).toBeNull();
  expect(trips.last).toBeNull();
});

test.each([
  [null, '–'],
  [0.8349, '0.83 ms'],
  [12.44, '12.4 ms'],
  [240.4, '240 ms'],
])('%s reads %s', (value, text) => {
  expect(formatMs(value)).toBe(text);
});
