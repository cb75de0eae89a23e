// Round trips as a line: newest at the right, gaps where one was lost.

import { svg } from './dom';
import { areaPath, linePath, niceCeiling, points } from './plot';

interface Size {
  readonly width: number;
  readonly height: number;
  /** Whether to draw the scale beside the line. */
  readonly axis: boolean;
}

const CAPACITY = 60;
const GRID_LINES = 2;

export class Chart {
  readonly element: SVGSVGElement;
  #size: Size;
  #area = svg('path', { class: 'chart-area' });
  #line = svg('path', { class: 'chart-line' });
  #end = svg('circle', { class: 'chart-end', r: 3.5 });
  #labels: SVGTextElement[] = [];

  constructor(size: Size) {
    this.#size = size;
    const { width, height, axis } = size;
    this.element = svg('svg', { class: 'chart', viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' });
    if (axis) this.#drawGrid();
    this.element.append(this.#area, this.#line, this.#end);
  }

  draw(samples: readonly (number | null)[]): void {
    const { width, height } = this.#size;
    const known = samples.filter((sample) => sample !== null);
    const top = niceCeiling(Math.max(...known, 0));
    const plotted = points(samples, { width, height, capacity: CAPACITY, top });
    this.#line.setAttribute('d', linePath(plotted));
    this.#area.setAttribute('d', areaPath(plotted, height));
    const last = plotted.at(-1) ?? null;
    this.#end.setAttribute('visibility', last === null || !this.#size.axis ? 'hidden' : 'visible');
    if (last !== null) {
      this.#end.setAttribute('cx', String(last.x));
      this.#end.setAttribute('cy', String(last.y));
    }
    this.#labels.forEach((label, index) => {
      label.textContent = known.length === 0 ? '' : `${trim((top * (GRID_LINES - index)) / GRID_LINES)} ms`;
    });
  }

  #drawGrid(): void {
    const { width, height } = this.#size;
    for (let line = 0; line < GRID_LINES; line += 1) {
      const y = (height * line) / GRID_LINES + 0.5;
      this.element.append(svg('line', { class: 'chart-grid', x1: 0, x2: width, y1: y, y2: y }));
      const label = svg('text', { class: 'chart-label', x: 2, y: y + 12 });
      this.#labels.push(label);
      this.element.append(label);
    }
  }
}

function trim(value: number): string {
  return String(Number(value.toPrecision(2)));
}
