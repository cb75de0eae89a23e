// The fallback order as a ladder: what was tried, what won, and a switch for each step.

import type { Lane } from '../model/lane';
import type { Step } from '../model/route';
import { formatMs } from '../model/round-trips';
import { LABELS, NOTES, type TransportName, TRANSPORTS } from '../net/transports';
import { apply, h, setText, show } from './dom';
import type { View } from './view';

const WORDS: Readonly<Record<Step['state'], string>> = {
  unavailable: 'not available',
  off: 'switched off',
  waiting: 'in reserve',
  trying: 'trying…',
  failed: 'failed',
  open: 'in use',
};

export class RouteView implements View {
  readonly element: HTMLElement;
  #lane: Lane | null = null;
  #rungs = TRANSPORTS.map((transport) => this.#rung(transport));

  constructor() {
    this.element = h(
      'section',
      { class: 'card route', 'aria-labelledby': 'route-title' },
      h('h3', { id: 'route-title' }, 'Fallback order'),
      h('p', { class: 'hint' }, 'The first that opens carries the connection. Switch some off and see what the client does.'),
      h('ol', { class: 'rungs' }, ...this.#rungs.map(({ item }) => item)),
    );
  }

  update(lane: Lane): void {
    this.#lane = lane;
    show(this.element, lane.automatic);
    for (const { transport, item, state, toggle } of this.#rungs) {
      const step = lane.connection.route.steps.find((each) => each.transport === transport);
      if (step === undefined) continue;
      apply(item, { 'data-state': step.state });
      const took = step.tookMs !== null && step.state === 'open' ? ` · opened in ${formatMs(step.tookMs)}` : '';
      setText(state, step.note === '' ? `${WORDS[step.state]}${took}` : `${WORDS[step.state]}: ${step.note}`);
      apply(toggle, {
        'aria-checked': String(lane.connection.enabled(transport)),
        disabled: step.state === 'unavailable',
      });
    }
  }

  #rung(transport: TransportName) {
    const state = h('span', { class: 'rung-state' });
    const toggle = h('button', {
      class: 'switch',
      type: 'button',
      role: 'switch',
      'aria-label': `Use ${LABELS[transport]}`,
      'data-testid': `switch-${transport}`,
      onclick: () => this.#lane?.enable(transport, !this.#lane.connection.enabled(transport)),
    });
    const name = h('span', { class: 'rung-name' }, LABELS[transport], h('small', {}, NOTES[transport]));
    const item = h(
      'li',
      { class: 'rung', 'data-transport': transport, 'data-testid': `route-${transport}` },
      h('span', { class: 'rung-mark', 'aria-hidden': 'true' }),
      name,
      state,
      toggle,
    );
    return { transport, item, state, toggle };
  }
}
