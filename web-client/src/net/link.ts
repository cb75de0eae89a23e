// A network that can be cut.
//
// The client opens its transports through a link. `cut` ends what is open, without the goodbye that the
// client itself would send, and refuses what is opened afterwards until `mend`: the nearest that a page
// can come to pulling the cable. On the way the link sees which transport is being tried.

import type { Options } from 'centrifuge';

import type { TransportName } from './transports';

type Dependencies = Pick<Options, 'fetch' | 'websocket' | 'eventsource'>;

export interface Natives {
  readonly WebSocket: typeof WebSocket;
  readonly EventSource: typeof EventSource;
  readonly fetch: typeof fetch;
}

export class LinkCut extends Error {
  constructor() {
    super('the connection is cut');
  }
}

export class Link {
  /** Called at each attempt to open a transport. */
  onAttempt: (transport: TransportName) => void = () => {};

  #natives: Natives;
  #streamAddress: string | null;
  #down = false;
  #abort = new AbortController();
  // A client has one transport open at a time, so there is one to close.
  #close: () => void = () => {};

  /** `streamAddress`: where HTTP-streaming is, to tell its stream from the commands sent to the emulation endpoint. */
  constructor(natives: Natives, streamAddress: string | null) {
    this.#natives = natives;
    this.#streamAddress = streamAddress;
  }

  get down(): boolean {
    return this.#down;
  }

  cut(): void {
    this.#down = true;
    this.#abort.abort(new LinkCut());
    this.#close();
    this.#close = () => {};
  }

  mend(): void {
    this.#down = false;
    this.#abort = new AbortController();
  }

  /** The options that make an SDK client use this link; WebTransport goes by its address, see `webtransport.ts`. */
  dependencies(): Dependencies {
    const link = this;
    const { WebSocket, EventSource } = this.#natives;
    return {
      fetch: (url: string, init: RequestInit = {}) => link.#fetch(url, init),
      websocket: function LinkedWebSocket(url: string, protocols?: string | string[]) {
        return link.open('websocket', () => new WebSocket(url, protocols), (socket) => socket.close());
      },
      eventsource: function LinkedEventSource(url: string, init?: EventSourceInit) {
        return link.open('sse', () => new EventSource(url, init), (source) => {
          source.close();
          source.onerror?.(new Event('error'));
        });
      },
    };
  }

  /** Opens something that is closed when the link is cut. */
  open<T>(transport: TransportName, create: () => T, close: (opened: T) => void): T {
    this.onAttempt(transport);
    if (this.#down) throw new LinkCut();
    const opened = create();
    this.#close = () => close(opened);
    return opened;
  }

  async #fetch(url: string, init: RequestInit): Promise<Response> {
    if (url === this.#streamAddress) this.onAttempt('http_stream');
    if (this.#down) throw new LinkCut();
    const signals = init.signal ? [init.signal, this.#abort.signal] : [this.#abort.signal];
    return this.#natives.fetch(url, { ...init, signal: AbortSignal.any(signals) });
  }
}
