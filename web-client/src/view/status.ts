// What the connection is: state, transport, protocol, client id, and the buttons that change them.

import type { Lane } from '../model/lane';
import { LABELS, type Protocol, PROTOCOL_LABELS } from '../net/transports';
import { apply, h, setText } from './dom';
import type { View } from './view';

export class Status implements View {
  readonly element: HTMLElement;
  #lane: Lane | null = null;
  #headline = h('h2', { id: 'panel-title', class: 'headline', 'data-testid': 'state' });
  #reason = h('p', { class: 'reason', 'data-testid': 'reason' });
  #facts = {
    transport: fact('Transport', 'transport'),
    protocol: fact('Negotiated protocol', 'protocol'),
    client: fact('Client id', 'client-id'),
    since: fact('Connected for', 'since'),
    reconnects: fact('Reconnects', 'reconnects'),
  };
  #toggle = h('button', { class: 'button', type: 'button', 'data-testid': 'connect', onclick: () => this.#switch() });
  #protocols: { protocol: Protocol; button: HTMLElement }[] = (['json', 'protobuf'] as const).map((protocol) => ({
    protocol,
    button: h(
      'button',
      { type: 'button', 'data-testid': `speak-${protocol}`, onclick: () => this.#lane?.speak(protocol) },
      PROTOCOL_LABELS[protocol],
    ),
  }));

  constructor() {
    const choice = h('div', { class: 'choice', role: 'group', 'aria-label': 'Protocol' }, ...this.#protocols.map(({ button }) => button));
    this.element = h(
      'section',
      { class: 'card status', 'aria-labelledby': 'panel-title' },
      h('div', { class: 'status-head' }, h('div', { role: 'status' }, this.#headline, this.#reason), h('div', { class: 'actions' }, choice, this.#toggle)),
      h('dl', { class: 'facts' }, ...Object.values(this.#facts).map(({ element }) => element)),
    );
    setInterval(() => this.#tick(), 1_000);
  }

  update(lane: Lane): void {
    this.#lane = lane;
    const { phase, reason, negotiated, clientId, protocol, reconnects } = lane.connection;
    apply(this.element, { 'data-phase': phase });
    setText(this.#headline, headline(lane));
    setText(this.#reason, reason);
    setText(this.#facts.transport.value, negotiated === null ? '–' : LABELS[negotiated.transport]);
    setText(this.#facts.protocol.value, negotiated === null ? '–' : PROTOCOL_LABELS[negotiated.protocol]);
    setText(this.#facts.client.value, clientId || '–');
    setText(this.#facts.reconnects.value, String(reconnects));
    setText(this.#toggle, active(lane) ? 'Disconnect' : 'Connect');
    for (const each of this.#protocols) {
      apply(each.button, {
        'aria-pressed': String(each.protocol === protocol),
        disabled: !lane.connection.canSpeak(each.protocol),
      });
    }
    this.#tick();
  }

  #switch(): void {
    const lane = this.#lane;
    if (lane === null) return;
    if (active(lane)) lane.stop();
    else lane.start();
  }

  #tick(): void {
    const connection = this.#lane?.connection;
    if (connection === undefined) return;
    const since = connection.phase === 'connected' ? duration(Date.now() - connection.connectedAt) : '–';
    setText(this.#facts.since.value, since);
  }
}

function headline(lane: Lane): string {
  const { phase, negotiated } = lane.connection;
  if (negotiated !== null) return `Connected over ${LABELS[negotiated.transport]}`;
  if (phase === 'connecting') return lane.connection.link.down ? 'Cut off' : 'Connecting…';
  return phase === 'ended' ? 'Closed' : 'Not connected';
}

function active({ connection }: Lane): boolean {
  return connection.phase === 'connecting' || connection.phase === 'connected';
}

function fact(label: string, testId: string) {
  const value = h('dd', { 'data-testid': testId });
  return { value, element: h('div', {}, h('dt', {}, label), value) };
}

/** `0:07`, `12:40`, `1:02:03`. */
export function duration(milliseconds: number): string {
  const total = Math.max(0, Math.floor(milliseconds / 1_000));
  const [hours, minutes, seconds] = [Math.floor(total / 3_600), Math.floor(total / 60) % 60, total % 60];
  const tail = String(seconds).padStart(2, '0');
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${tail}` : `${minutes}:${tail}`;
}
