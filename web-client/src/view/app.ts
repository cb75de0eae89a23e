// The page: head, tabs, and the panel of the lane that is chosen.

import type { Surroundings } from '../model/connection';
import type { Lane } from '../model/lane';
import { CutView } from './cut';
import { apply, h } from './dom';
import { header } from './header';
import { Messages } from './messages';
import { PulseView } from './pulse';
import { RouteView } from './route';
import { Status } from './status';
import { Tabs } from './tabs';
import type { View } from './view';

export class App {
  #lanes: readonly Lane[];
  #selected: Lane;
  #tabs: Tabs;
  #views: View[] = [new Status(), new RouteView(), new PulseView(), new CutView(), new Messages()];
  #panel = h('main', { id: 'panel', class: 'panel', role: 'tabpanel' }, ...this.#views.map(({ element }) => element));
  #drawing = false;

  constructor(root: HTMLElement, around: Surroundings, lanes: readonly [Lane, ...Lane[]]) {
    this.#lanes = lanes;
    this.#selected = lanes[0];
    this.#tabs = new Tabs(lanes, (lane) => this.select(lane));
    const head = header(around.settings, {
      connectAll: () => this.#startIdle(lanes),
      useToken: (token) => {
        around.token = token === '' ? null : token;
        for (const lane of this.#lanes) if (lane.connection.phase !== 'off') lane.start();
      },
    });
    root.replaceChildren(head, this.#tabs.element, this.#panel);
    for (const lane of lanes) lane.watch(() => this.#redraw());
    this.select(lanes[0]);
  }

  select(lane: Lane): void {
    this.#selected = lane;
    this.#startIdle([lane]);
    this.#redraw();
  }

  #startIdle(lanes: readonly Lane[]): void {
    for (const lane of lanes) if (lane.connection.phase === 'off') lane.start();
  }

  /** Many changes come at once; the page is drawn once for all of them. */
  #redraw(): void {
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => {
      this.#drawing = false;
      const lane = this.#selected;
      apply(this.#panel, {
        'aria-labelledby': `tab-${lane.id}`,
        'data-lane': lane.id,
        'data-transport': lane.connection.negotiated?.transport ?? (lane.automatic ? null : lane.id),
      });
      this.#tabs.update(lane);
      for (const view of this.#views) view.update(lane);
    });
  }
}
