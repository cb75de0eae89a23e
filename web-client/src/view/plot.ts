// The geometry of a line chart, without a page.

export interface Point {
  readonly x: number;
  readonly y: number;
}

interface Frame {
  readonly width: number;
  readonly height: number;
  /** How many samples fill the width. */
  readonly capacity: number;
  /** The value at the upper edge. */
  readonly top: number;
}

/** Room for the round end of the line at the edges. */
const MARGIN = 5;

/** The samples as points, newest at the right; a null stays one, so that the line breaks there. */
export function points(samples: readonly (number | null)[], frame: Frame): (Point | null)[] {
  const { width, height, capacity, top } = frame;
  const step = (width - MARGIN) / Math.max(1, capacity - 1);
  return samples.map((sample, index) => {
    if (sample === null) return null;
    const x = width - MARGIN - (samples.length - 1 - index) * step;
    const y = height - MARGIN - (sample / top) * (height - 2 * MARGIN);
    return { x: round(x), y: round(y) };
  });
}

export function linePath(plotted: readonly (Point | null)[]): string {
  return runs(plotted)
    .map((run) => run.map(({ x, y }, index) => `${index === 0 ? 'M' : 'L'}${x} ${y}`).join(''))
    .join('');
}

/** The area under the line, closed at the bottom of each unbroken run. */
export function areaPath(plotted: readonly (Point | null)[], height: number): string {
  return runs(plotted)
    .map((run) => {
      const first = run[0];
      const last = run.at(-1);
      if (first === undefined || last === undefined) return '';
      return `${linePath(run)}L${last.x} ${height}L${first.x} ${height}Z`;
    })
    .join('');
}

/** The next of 1, 2, 5, 10, 20, 50 … at or above the value: a scale that moves seldom and reads well. */
export function niceCeiling(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const factor = [1, 2, 5].find((candidate) => candidate * power >= value) ?? 10;
  return factor * power;
}

function runs(plotted: readonly (Point | null)[]): Point[][] {
  const all: Point[][] = [[]];
  for (const point of plotted) {
    if (point === null) all.push([]);
    else all.at(-1)?.push(point);
  }
  return all.filter((run) => run.length > 0);
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
