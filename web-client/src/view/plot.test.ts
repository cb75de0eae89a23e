import { describe, expect, test } from 'vitest';

import { areaPath, linePath, niceCeiling, points } from './plot';

const frame = { width: 105, height: 110, capacity: 11, top: 10 };

describe('points', () => {
  test('puts the newest at the right and the largest at the top', () => {
    expect(points([0, 5, 10], frame)).toEqual([
      { x: 80, y: 105 },
      { x: 90, y: 55 },
      { x: 100, y: 5 },
    ]);
  });

  test('keeps a gap', () => {
    expect(points([1, null], frame)[1]).toBeNull();
  });
});

test('a gap breaks the line and the area', () => {
  const plotted = [{ x: 0, y: 1 }, { x: 1, y: 2 }, null, { x: 3, y: 4 }];
  expect(linePath(plotted)).toBe('M0 1L1 2M3 4');
  expect(areaPath(plotted, 9)).toBe('M0 1L1 2L1 9L0 9ZM3 4L3 9L3 9Z');
});

test('no samples, no path', () => {
  expect(linePath([])).toBe('');
  expect(areaPath([null], 9)).toBe('');
});

test.each([
  [0, 1],
  [0.03, 0.05],
  [0.7, 1],
  [1, 1],
  [1.2, 2],
  [7, 10],
  [240, 500],
])('the scale for %d ends at %d', (value, ceiling) => {
  expect(niceCeiling(value)).toBeCloseTo(ceiling);
});
