// The lanes as tabs: each shows its state and its round trip, so that the transports can be compared.

import type { Lane } from '../model/lane';
import { formatMs } from '../model/round-trips';
import { Chart } from './chart';
import { apply, h, setText } from './dom';

const WORDS = { off: 'not connected', connecting: 'connecting', connected: 'connected', ended: 'closed' } as const;

export class Tabs {
  readonly element: HTMLElement;
  #tabs: { lane: Lane; button: HTMLElement; state: HTMLElement; figure: HTMLElement; chart: Chart }[];

  constructor(lanes: readonly Lane[], select: (lane: Lane) => void) {
    this.#tabs = lanes.map((lane) => tab(lane, () => select(lane)));
    const buttons = this.#tabs.map(({ button }) => button);
    this.element = h('div', { class: 'tabs', role: 'tablist', 'aria-label': 'Connections' }, ...buttons);
    this.element.addEventListener('keydown', (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step === undefined) return;
      const at = buttons.findIndex((button) => button === document.activeElement);
      const next = buttons.at((at + step) % buttons.length);
      next?.focus();
      next?.click();
    });
  }

  update(selected: Lane): void {
    for (const { lane, button, state, figure, chart } of this.#tabs) {
      const { phase, negotiated } = lane.connection;
      apply(button, {
        'aria-selected': String(lane === selected),
        tabindex: lane === selected ? 0 : -1,
        'data-phase': phase,
        'data-transport': negotiated?.transport ?? (lane.automatic ? null : lane.id),
      });
      setText(state, WORDS[phase]);
      setText(figure, phase === 'connected' ? formatMs(lane.pulse.roundTrips.last) : '–');
      chart.draw(lane.pulse.roundTrips.samples);
    }
  }
}

function tab(lane: Lane, select: () => void) {
  const state = h('span', { class: 'tab-state' });
  const figure = h('span', { class: 'tab-figure' });
  const chart = new Chart({ width: 120, height: 26, axis: false });
  const button = h(
    'button',
    { class: 'tab', role: 'tab', type: 'button', id: `tab-${lane.id}`, 'aria-controls': 'panel', 'data-testid': `tab-${lane.id}`, onclick: select },
    h('span', { class: 'tab-label' }, h('span', { class: 'dot' }), lane.label),
    figure,
    chart.element,
    state,
  );
  return { lane, button, state, figure, chart };
}
