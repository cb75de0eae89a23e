// What a step of the scenario is given: clients, the server API and tokens.
//
// Each step has its own users and channels, so that steps neither see nor disturb one another on the one
// server that they share.

import { Client } from './client.mjs';

export class Env {
  #setup;
  #id;
  #clients = [];

  /**
   * `setup`: `Centrifuge` (the SDK class), `codec`, `platform` (constructors of the transports),
   * `transport` (`name`, `protocol`, `endpoint`, `emulationEndpoint`), `call` (one server API request,
   * resolving with the response body) and `sign` (claims to a JWT).
   */
  constructor(setup, id) {
    this.#setup = setup;
    this.#id = id;
  }

  get transport() {
    return this.#setup.transport;
  }

  /** A channel of the namespace that no other step uses. */
  channel(namespace, rest = 'room') {
    return `${namespace}:${rest}-${this.#id}`;
  }

  user(name) {
    return `${name}-${this.#id}`;
  }

  token(name, claims = {}) {
    return this.#setup.sign({ sub: this.user(name), exp: seconds(3600), ...claims });
  }

  subscriptionToken(name, channel, claims = {}) {
    return this.token(name, { channel, ...claims });
  }

  /** A connected client of the user; `claims` go into its token. */
  async connect(name, claims = {}, options = {}) {
    const client = this.open(name, { token: await this.token(name, claims), ...options });
    await client.journal.next('connected');
    return client;
  }

  /**
   * A client that connects with a brief token and takes the next ones from `later`. A token may expire before a
   * busy machine has connected with it: until then the client gets others as brief, and the journal keeps its errors.
   */
  async connectBriefly(name, later) {
    const brief = () => this.token(name, { exp: seconds(BRIEF) });
    let next = brief;
    const client = this.open(name, { token: await brief(), getToken: () => next() });
    await client.journal.next('connected');
    next = later;
    return client;
  }

  /** A subscription with a brief token, as `connectBriefly` connects. */
  async subscribeBriefly(client, name, channel, later) {
    const brief = () => this.subscriptionToken(name, channel, { exp: seconds(BRIEF) });
    let next = brief;
    const subscription = await client.subscribe(channel, { token: await brief(), getToken: () => next() });
    next = later;
    return subscription;
  }

  /** A client on its way; the options are those of the SDK. */
  open(name, options = {}) {
    const client = new Client(this.#setup, this.user(name), options);
    this.#clients.push(client);
    client.sdk.connect();
    return client;
  }

  /** One server API request: the result, or an error with the code of the server's. */
  async api(method, body) {
    const response = await this.#setup.call(method, body);
    if (response.error) throw Object.assign(new Error(`${method}: ${response.error.message}`), response.error);
    return response.result ?? response;
  }

  /** `count` publications from the API, one after the other, with the data `{"n": first …}`. */
  async publishNumbers(channel, first, count) {
    for (let n = first; n < first + count; n += 1) await this.api('publish', { channel, data: { n } });
  }

  close() {
    for (const client of this.#clients) {
      client.link.mend();
      client.sdk.disconnect();
    }
  }
}

/** Seconds that a token lives which a step sees expire: full ones are counted, and a busy machine may need one. */
export const BRIEF = 3;

/** Unix time so many seconds from now. */
export function seconds(fromNow) {
  return Math.floor(Date.now() / 1000) + fromNow;
}

export const jsonCodec = { pack: (value) => value, unpack: (value) => value };

/** Over Protobuf the SDK hands out bytes; the scenario keeps JSON text in them. */
export const protobufCodec = {
  pack: (value) => new TextEncoder().encode(JSON.stringify(value)),
  unpack: (bytes) => (bytes?.length ? JSON.parse(new TextDecoder().decode(bytes)) : undefined),
};
