// A server in memory, for tests: enough of the JSON protocol over WebSockets to publish, subscribe and recover.

interface Command {
  id: number;
  connect?: object;
  subscribe?: { channel: string; recover?: boolean; offset?: number };
  unsubscribe?: { channel: string };
  publish?: { channel: string; data: unknown };
  presence_stats?: { channel: string };
}

interface Stored {
  data: unknown;
  offset: number;
  info: { user: string; client: string };
}

const EPOCH = 'AbCdEfGh';

export class FakeServer {
  /** How many of the newest publications are kept; fewer than a client has missed make a gap. */
  kept = Number.POSITIVE_INFINITY;
  #stored: Stored[] = [];
  #sockets = new Set<FakeSocket>();
  #offset = 0;

  /** What stands for the global constructor in a page. */
  socketClass(): typeof WebSocket {
    const server = this;
    const Socket = function () {
      const socket = new FakeSocket((command) => server.#answer(socket, command));
      server.#sockets.add(socket);
      socket.closed = () => server.#sockets.delete(socket);
      return socket;
    };
    return Socket as unknown as typeof WebSocket;
  }

  publish(channel: string, data: unknown, client: string): void {
    this.#offset += 1;
    const publication = { data, offset: this.#offset, info: { user: '', client } };
    this.#stored = [...this.#stored, publication].slice(-this.kept);
    for (const socket of this.#sockets) {
      if (socket.channels.has(channel)) socket.deliver({ push: { channel, pub: publication } });
    }
  }

  #answer(socket: FakeSocket, command: Command): void {
    const { id, connect, subscribe, unsubscribe, publish, presence_stats: stats } = command;
    if (connect) socket.deliver({ id, connect: { client: socket.id, version: '0.1.0 Tidegate' } });
    if (subscribe) {
      socket.deliver({ id, subscribe: this.#subscription(subscribe.recover === true, subscribe.offset ?? 0) });
      socket.channels.add(subscribe.channel);
    }
    if (unsubscribe) {
      socket.channels.delete(unsubscribe.channel);
      socket.deliver({ id, unsubscribe: {} });
    }
    if (publish) {
      this.publish(publish.channel, publish.data, socket.id);
      socket.deliver({ id, publish: {} });
    }
    if (stats) socket.deliver({ id, presence_stats: { num_clients: this.#sockets.size, num_users: 1 } });
  }

  #subscription(recover: boolean, since: number): object {
    const result = { recoverable: true, positioned: true, epoch: EPOCH, offset: this.#offset };
    if (!recover) return result;
    const publications = this.#stored.filter(({ offset }) => offset > since);
    if (publications.length !== this.#offset - since) return { ...result, was_recovering: true };
    return { ...result, was_recovering: true, recovered: true, offset: since, publications };
  }
}

let sockets = 0;

class FakeSocket {
  readonly id = `client-${(sockets += 1)}`;
  readonly channels = new Set<string>();
  closed: () => void = () => {};
  onopen: () => void = () => {};
  onclose: (event: { code: number; reason: string }) => void = () => {};
  onmessage: (event: { data: string }) => void = () => {};
  #receive: (command: Command) => void;

  constructor(receive: (command: Command) => void) {
    this.#receive = receive;
    queueMicrotask(() => this.onopen());
  }

  send(frame: string): void {
    for (const line of frame.split('\n')) this.#receive(JSON.parse(line) as Command);
  }

  deliver(reply: object): void {
    this.onmessage({ data: JSON.stringify(reply) });
  }

  close(): void {
    this.closed();
    queueMicrotask(() => this.onclose({ code: 1000, reason: '' }));
  }
}
