// One SDK client with its journal and its link.

import { Journal } from './journal.mjs';
import { Link } from './link.mjs';

const CLIENT_EVENTS = ['connecting', 'connected', 'disconnected', 'error', 'subscribed', 'subscribing', 'unsubscribed'];
const SUBSCRIPTION_EVENTS = ['subscribing', 'subscribed', 'unsubscribed', 'error'];

export class Client {
  constructor(setup, user, options) {
    this.user = user;
    this.journal = new Journal(`${user || 'anonymous'} (${setup.transport.name}, ${setup.transport.protocol})`);
    this.link = new Link(setup.platform);
    this.#codec = setup.codec;
    const { name, endpoint, emulationEndpoint } = setup.transport;
    const address = name === 'webtransport' ? this.link.address(endpoint) : endpoint;
    this.sdk = new setup.Centrifuge([{ transport: name, endpoint: address }], {
      ...this.link.options(),
      emulationEndpoint,
      timeout: 10_000,
      minReconnectDelay: 20,
      maxReconnectDelay: 200,
      ...options,
    });
    this.#listen(this.sdk, CLIENT_EVENTS);
  }

  #codec;

  /** Subscribes and waits for the reply; fails with the code when the server refuses. */
  async subscribe(channel, options) {
    const subscription = this.prepare(channel, options);
    subscription.subscribe();
    const answer = await this.journal.until(
      `answer to the subscription to ${channel}`,
      (journal) => journal.all('subscribed', channel)[0] ?? journal.all('unsubscribed', channel)[0],
    );
    if (answer.type === 'unsubscribed') {
      throw Object.assign(new Error(`subscribe: ${answer.reason}`), { code: answer.code });
    }
    return subscription;
  }

  /** A subscription with its events in the journal, not yet asked for. */
  prepare(channel, options) {
    const subscription = this.sdk.newSubscription(channel, {
      minResubscribeDelay: 20,
      maxResubscribeDelay: 200,
      ...options,
    });
    this.#listen(subscription, SUBSCRIPTION_EVENTS);
    return subscription;
  }

  publish(channel, value) {
    return this.sdk.publish(channel, this.#codec.pack(value));
  }

  /** Publications of a channel as soon as there are `count` of them. */
  async received(channel, count, deadline) {
    return this.journal.until(
      `${count} publications in ${channel} (got ${this.journal.count('publication', channel)} at the start of the wait)`,
      (journal) => {
        const seen = journal.all('publication', channel);
        return seen.length >= count && seen;
      },
      deadline,
    );
  }

  /** History with decoded data. */
  async history(channel, options) {
    const page = await this.sdk.history(channel, options);
    return { ...page, publications: page.publications.map((publication) => this.#publication(publication)) };
  }

  async presence(channel) {
    const { clients } = await this.sdk.presence(channel);
    return Object.values(clients).map((info) => this.#info(info));
  }

  async rpc(method, value = {}) {
    return this.sdk.rpc(method, this.#codec.pack(value));
  }

  async disconnected() {
    return this.journal.next('disconnected');
  }

  /** Cuts the link and waits until the client has noticed. */
  async cut() {
    const before = this.journal.count('connecting');
    this.link.cut();
    await this.journal.next('connecting', { nth: before + 1 });
  }

  /** Mends the link and waits until the client is back. */
  async mend() {
    const before = this.journal.count('connected');
    this.link.mend();
    await this.journal.next('connected', { nth: before + 1 });
  }

  #listen(emitter, events) {
    for (const event of events) emitter.on(event, (context) => this.journal.record(event, context));
    emitter.on('publication', (context) => this.journal.record('publication', this.#publication(context)));
    emitter.on('join', (context) => this.journal.record('join', { ...context, info: this.#info(context.info) }));
    emitter.on('leave', (context) => this.journal.record('leave', { ...context, info: this.#info(context.info) }));
  }

  #publication(context) {
    const { info, data, ...rest } = context;
    return { ...rest, data: this.#codec.unpack(data), ...(info && { info: this.#info(info) }) };
  }

  #info(info) {
    return { ...info, connInfo: this.#codec.unpack(info.connInfo), chanInfo: this.#codec.unpack(info.chanInfo) };
  }
}
