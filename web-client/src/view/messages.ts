// The channel: subscribe, publish, and the messages as they come.

import type { Lane } from '../model/lane';
import type { Message } from '../model/message';
import { apply, h, setText, show } from './dom';
import type { View } from './view';

const BURST = 20;
const AUTHORS = { own: 'this connection', client: 'another client', api: 'server API' } as const;

export class Messages implements View {
  readonly element: HTMLElement;
  #lane: Lane | null = null;
  #shown: readonly Message[] = [];
  #channel = h('input', { id: 'channel', name: 'channel', autocomplete: 'off', spellcheck: 'false', 'data-testid': 'channel' });
  #join = h('button', { class: 'button', type: 'submit', 'data-testid': 'subscribe' });
  #state = h('p', { class: 'hint', role: 'status', 'data-testid': 'subscription' });
  #text = h('input', { id: 'text', name: 'text', autocomplete: 'off', placeholder: 'Say something', 'data-testid': 'publish-input' });
  #error = h('p', { class: 'error', role: 'alert' });
  #list = h('ol', { class: 'messages', role: 'log', 'aria-label': 'Messages', tabindex: 0, 'data-testid': 'messages' });
  #empty = h('p', { class: 'empty' });

  constructor() {
    const publish = h(
      'form',
      { class: 'row', onsubmit: (event: Event) => this.#publish(event) },
      h('label', { class: 'hidden', for: 'text' }, 'Message'),
      this.#text,
      h('button', { class: 'button primary', type: 'submit', 'data-testid': 'publish' }, 'Publish'),
      h('button', { class: 'button', type: 'button', 'data-testid': 'burst', onclick: () => this.#burst() }, `Burst of ${BURST}`),
    );
    const subscribe = h(
      'form',
      { class: 'row', onsubmit: (event: Event) => this.#subscribe(event) },
      h('label', { for: 'channel' }, 'Channel'),
      this.#channel,
      this.#join,
    );
    this.element = h(
      'section',
      { class: 'card room', 'aria-labelledby': 'room-title' },
      h('h3', { id: 'room-title' }, 'Messages'),
      subscribe,
      this.#state,
      publish,
      this.#error,
      this.#empty,
      this.#list,
    );
  }

  update(lane: Lane): void {
    const { room } = lane;
    if (lane !== this.#lane) {
      this.#lane = lane;
      this.#channel.value = room.channel;
      setText(this.#error, '');
    }
    setText(this.#join, room.phase === 'subscribed' ? 'Unsubscribe' : 'Subscribe');
    apply(this.#state, { 'data-phase': room.phase });
    setText(this.#state, describe(lane));
    show(this.#empty, room.messages.length === 0);
    setText(this.#empty, `Nothing yet. Publish here, or from a backend, to the channel “${room.channel}”.`);
    this.#draw(room.messages);
  }

  /** Puts the new ones on top and takes away what is kept no longer; what stays is not touched. */
  #draw(messages: readonly Message[]): void {
    if (messages === this.#shown) return;
    const fresh = messages.findIndex((message) => message === this.#shown[0]);
    if (fresh < 0) this.#list.replaceChildren(...messages.map(item));
    else this.#list.prepend(...messages.slice(0, fresh).map(item));
    while (this.#list.children.length > messages.length) this.#list.lastElementChild?.remove();
    this.#shown = messages;
  }

  #subscribe(event: Event): void {
    event.preventDefault();
    const room = this.#lane?.room;
    const channel = this.#channel.value.trim();
    if (room === undefined) return;
    if (room.phase === 'subscribed' && channel === room.channel) room.leave();
    else if (channel !== '') room.subscribe(channel);
  }

  #publish(event: Event): void {
    event.preventDefault();
    const text = this.#text.value.trim();
    if (text === '') return;
    this.#text.value = '';
    this.#send([text]);
  }

  #burst(): void {
    const stamp = new Date().toLocaleTimeString();
    this.#send(Array.from({ length: BURST }, (_, index) => `${index + 1} of ${BURST} at ${stamp}`));
  }

  #send(texts: readonly string[]): void {
    const room = this.#lane?.room;
    if (room === undefined) return;
    setText(this.#error, '');
    // All at once: that they keep their order is for the server to see to.
    Promise.all(texts.map((text) => room.publish(text))).catch((error: { message?: string; code?: number }) => {
      setText(this.#error, `Not published: ${error.message ?? 'unknown error'}${error.code === undefined ? '' : ` (${error.code})`}`);
    });
  }
}

function describe({ room }: Lane): string {
  if (room.phase !== 'subscribed') {
    const words = { none: 'Not subscribed', subscribing: 'Subscribing…', ended: 'Subscription ended' }[room.phase];
    return room.reason === '' ? words : `${words}: ${room.reason}`;
  }
  const parts = ['Subscribed'];
  if (room.epoch !== '') parts.push(`position ${room.offset} of epoch ${room.epoch}`);
  if (room.present !== null) parts.push(`${room.present} present`);
  parts.push(`${room.received} received`);
  return parts.join(' · ');
}

function item(message: Message): HTMLElement {
  const { text, author, offset, recovered, publisher, at } = message;
  return h(
    'li',
    { class: 'message', 'data-author': author, 'data-testid': 'message' },
    h('span', { class: 'message-text' }, text),
    h(
      'span',
      { class: 'message-facts' },
      recovered ? h('span', { class: 'badge' }, 'recovered') : null,
      h('span', { title: publisher }, AUTHORS[author]),
      offset === null ? null : h('span', { class: 'number' }, `#${offset}`),
      h('time', {}, new Date(at).toLocaleTimeString()),
    ),
  );
}
