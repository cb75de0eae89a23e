// The button that cuts the connection, and what came of it.

import type { CutReport } from '../model/cut';
import type { Lane } from '../model/lane';
import { formatMs } from '../model/round-trips';
import { apply, h, setText, show } from './dom';
import type { View } from './view';

const COUNTS = [10, 50, 100];
const RESULT_WORDS = { true: 'recovered: true', false: 'recovered: false' } as const;

export class CutView implements View {
  readonly element: HTMLElement;
  #lane: Lane | null = null;
  #count = h(
    'select',
    { id: 'missed', 'data-testid': 'missed-count' },
    ...COUNTS.map((count) => h('option', { value: count }, `${count} messages`)),
  );
  #button = h('button', { class: 'button danger', type: 'button', 'data-testid': 'cut', onclick: () => this.#cut() }, 'Cut the connection');
  #steps = {
    cut: stepItem(),
    missed: stepItem(),
    back: stepItem(),
  };
  #result = h('strong', { class: 'result', 'data-testid': 'recovery' });
  #log = h(
    'div',
    { class: 'cut-log', role: 'status' },
    h('ol', { class: 'cut-steps' }, this.#steps.cut, this.#steps.missed, this.#steps.back),
    this.#result,
  );

  constructor() {
    this.element = h(
      'section',
      { class: 'card cut', 'aria-labelledby': 'cut-title' },
      h('h3', { id: 'cut-title' }, 'Cut and recover'),
      h('p', { class: 'hint' }, 'The page drops this connection without a goodbye, publishes through a second one, and lets the first come back.'),
      h('div', { class: 'row' }, h('label', { for: 'missed' }, 'Missing'), this.#count, this.#button),
      this.#log,
    );
  }

  update(lane: Lane): void {
    this.#lane = lane;
    const { report, running } = lane.cut;
    apply(this.#button, { disabled: running || lane.room.phase !== 'subscribed' });
    apply(this.element, { 'data-phase': report.phase });
    show(this.#log, report.phase !== 'idle');
    const begun = report.phase !== 'idle';
    write(this.#steps.cut, 'Connection cut', begun);
    write(this.#steps.missed, `${report.published} of ${report.total} published meanwhile`, report.published === report.total && begun);
    write(this.#steps.back, back(report), report.phase === 'done');
    setText(this.#result, result(report));
    apply(this.#result, { 'data-recovered': report.phase === 'done' ? String(report.recovered) : null });
  }

  #cut(): void {
    void this.#lane?.cut.run(Number(this.#count.value));
  }
}

function back(report: CutReport): string {
  if (report.phase === 'done') return `Back, and up to date, after ${formatMs(report.backAfterMs)}`;
  return report.phase === 'mending' ? 'Reconnecting…' : 'Back';
}

function result(report: CutReport): string {
  if (report.phase === 'failed') return `Failed: ${report.note}`;
  if (report.phase !== 'done') return '';
  const words = RESULT_WORDS[`${report.recovered}`];
  return `${words} · ${report.arrived} of ${report.total} publications recovered`;
}

function stepItem(): HTMLElement {
  return h('li');
}

function write(item: HTMLElement, text: string, done: boolean): void {
  setText(item, text);
  apply(item, { 'data-done': done });
}
