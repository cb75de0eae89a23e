// A transcript: what goes over one WebSocket, line by line.

import { WebSocket } from 'ws';

const DEADLINE_MS = 10_000;

export async function play(text, server, bindings) {
  const socket = await Socket.open(`ws://${server.host}/connection/websocket`);
  try {
    for (const line of text.split('\n')) {
      await perform(line, socket, server, bindings).catch((cause) => {
        throw new Error(`${line}\n${cause.message}`, { cause });
      });
    }
  } finally {
    socket.end();
  }
}

async function perform(line, socket, server, bindings) {
  const [mark, rest] = [line[0], line.slice(2)];
  if (mark === '>') socket.send(bindings.fill(rest));
  else if (mark === '<') bindings.match(rest, await socket.next());
  else if (mark === '!') await call(server, bindings.fill(rest));
  else if (mark === 'x') bindings.match(rest, await socket.closed());
  else throw new Error('a line of a transcript begins with >, <, ! or x');
}

async function call(server, line) {
  const space = line.indexOf(' ');
  const answer = await server.call(line.slice(0, space), JSON.parse(line.slice(space + 1)));
  if (answer.error) throw new Error(`${line}: ${answer.error.message}`);
}

class Socket {
  #socket;
  #lines = [];
  #close = null;
  #onNews = () => {};

  static open(url) {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url);
      const wrapped = new Socket(socket);
      socket.once('open', () => resolve(wrapped));
      socket.once('error', reject);
    });
  }

  constructor(socket) {
    this.#socket = socket;
    socket.on('message', (data) => {
      // Pings come when they come: they are answered, and no part of a transcript.
      const lines = String(data).split('\n').filter((line) => line !== '');
      if (lines.includes('{}')) socket.send('{}');
      this.#lines.push(...lines.filter((line) => line !== '{}'));
      this.#onNews();
    });
    socket.on('close', (code, reason) => {
      this.#close = `${code} ${reason}`;
      this.#onNews();
    });
  }

  send(text) {
    this.#socket.send(text);
  }

  next() {
    return this.#until('line', () => this.#lines.shift());
  }

  closed() {
    return this.#until('a close', () => this.#close);
  }

  end() {
    this.#socket.terminate();
  }

  #until(what, probe) {
    return new Promise((resolve, reject) => {
      const settle = (finish, result) => {
        clearTimeout(timer);
        this.#onNews = () => {};
        finish(result);
      };
      const timer = setTimeout(() => settle(reject, new Error(`no ${what} within ${DEADLINE_MS} ms`)), DEADLINE_MS);
      this.#onNews = () => {
        const value = probe();
        if (value !== undefined && value !== null) settle(resolve, value);
        else if (this.#close !== null) settle(reject, new Error(`no ${what}, but the close ${this.#close}`));
      };
      this.#onNews();
    });
  }
}
