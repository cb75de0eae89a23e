// A network that can be cut.
//
// The client is given the constructors of its transports through a link. `cut` ends what is open, without
// the goodbye that the client itself would send, and refuses what is opened afterwards until `mend`.

let linkNumber = 0;
const links = new Map();

export class Link {
  #platform;
  #number = (linkNumber += 1);
  #open = new Set();
  #down = null;
  #abort = new AbortController();

  constructor(platform) {
    this.#platform = platform;
    links.set(this.#number, this);
    installWebTransport(platform);
  }

  cut() {
    this.#down = new Error('the link is cut');
    this.#abort.abort(this.#down);
    for (const close of this.#open) close();
    this.#open.clear();
  }

  mend() {
    this.#down = null;
    this.#abort = new AbortController();
  }

  /** The options of the client that make it use this link. */
  options() {
    const link = this;
    const { WebSocket, EventSource } = this.#platform;
    return {
      fetch: (url, init) => link.#fetch(url, init),
      websocket: function LinkedWebSocket(url, protocols) {
        link.#check();
        const socket = new WebSocket(url, protocols);
        link.#open.add(() => (socket.terminate ? socket.terminate() : socket.close()));
        return socket;
      },
      eventsource: function LinkedEventSource(url, init) {
        link.#check();
        const source = new EventSource(url, init);
        link.#open.add(() => {
          source.close();
          source.onerror?.(new Event('error'));
        });
        return source;
      },
    };
  }

  /** WebTransport has no option of the client: the address tells the global constructor which link it is on. */
  address(endpoint) {
    const url = new URL(endpoint);
    url.searchParams.set('link', String(this.#number));
    return url.toString();
  }

  webTransport(url) {
    this.#check();
    const transport = this.#platform.openWebTransport(url);
    this.#open.add(() => {
      try {
        transport.close();
      } catch {
        // It was closed already: nothing is left to cut.
      }
    });
    return transport;
  }

  async #fetch(url, init = {}) {
    this.#check();
    const signals = init.signal ? [init.signal, this.#abort.signal] : [this.#abort.signal];
    return this.#platform.fetch(url, { ...init, signal: AbortSignal.any(signals) });
  }

  #check() {
    if (this.#down) throw this.#down;
  }
}

function installWebTransport(platform) {
  if (!platform.openWebTransport || globalThis.WebTransport?.linked) return;
  const LinkedWebTransport = function (url) {
    const link = links.get(Number(new URL(url).searchParams.get('link')));
    return link.webTransport(url);
  };
  LinkedWebTransport.linked = true;
  globalThis.WebTransport = LinkedWebTransport;
}
