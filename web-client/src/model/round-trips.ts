/** The last round trips, for a chart and its figures. A null is a round trip that was lost. */
export class RoundTrips {
  #samples: (number | null)[] = [];
  #capacity: number;

  constructor(capacity = 60) {
    this.#capacity = capacity;
  }

  get samples(): readonly (number | null)[] {
    return this.#samples;
  }

  get last(): number | null {
    return this.#samples.at(-1) ?? null;
  }

  add(milliseconds: number | null): void {
    this.#samples = [...this.#samples, milliseconds].slice(-this.#capacity);
  }

  clear(): void {
    this.#samples = [];
  }

  /** The sample that this share of the samples does not exceed; null without samples. */
  quantile(share: number): number | null {
    const sorted = this.#samples.filter((sample) => sample !== null).sort((a, b) => a - b);
    const index = Math.max(0, Math.ceil(share * sorted.length) - 1);
    return sorted[index] ?? null;
  }
}

/** `0.83 ms`, `12.4 ms`, `240 ms`: three figures tell enough. */
export function formatMs(milliseconds: number | null): string {
  if (milliseconds === null) return '–';
  const digits = milliseconds < 10 ? 2 : milliseconds < 100 ? 1 : 0;
  return `${milliseconds.toFixed(digits)} ms`;
}
