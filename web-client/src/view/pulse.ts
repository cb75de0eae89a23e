// The round trip, as figures and as a line.

import type { Lane } from '../model/lane';
import { formatMs } from '../model/round-trips';
import { Chart } from './chart';
import { h, setText } from './dom';
import type { View } from './view';

export class PulseView implements View {
  readonly element: HTMLElement;
  #last = h('strong', { class: 'figure', 'data-testid': 'rtt-last' });
  #median = h('dd');
  #slow = h('dd');
  #hint = h('p', { class: 'hint' });
  #chart = new Chart({ width: 480, height: 130, axis: true });

  constructor() {
    this.element = h(
      'section',
      { class: 'card pulse', 'aria-labelledby': 'pulse-title' },
      h(
        'div',
        { class: 'pulse-head' },
        h('div', {}, h('h3', { id: 'pulse-title' }, 'Round trip'), this.#last),
        h(
          'dl',
          { class: 'facts small' },
          h('div', {}, h('dt', {}, 'Median'), this.#median),
          h('div', {}, h('dt', {}, '95 of 100 within'), this.#slow),
        ),
      ),
      this.#chart.element,
      this.#hint,
    );
  }

  update(lane: Lane): void {
    const { roundTrips, offered } = lane.pulse;
    setText(this.#last, formatMs(roundTrips.last));
    setText(this.#median, formatMs(roundTrips.quantile(0.5)));
    setText(this.#slow, formatMs(roundTrips.quantile(0.95)));
    setText(this.#hint, offered ? 'One RPC a second, the last minute.' : 'The server does not answer pings: rpc.ping is off.');
    this.#chart.draw(roundTrips.samples);
  }
}
