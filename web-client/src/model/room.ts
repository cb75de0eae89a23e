// One channel, as one connection sees it: the subscription, its position, who is there, what was said.

import { pack, type Publication, type SubscribedContext, type Subscription, unpack } from '../net/sdk';
import type { Connection } from './connection';
import { type Message, messageOf, readMissed } from './message';
import { Store } from './store';

export type RoomPhase = 'none' | 'subscribing' | 'subscribed' | 'ended';

export interface Recovery {
  readonly attempted: boolean;
  readonly recovered: boolean;
}

const KEPT_MESSAGES = 200;
/** Reads of the presence are put off this long, so that many joins make one of them. */
const PRESENCE_DELAY_MS = 150;

export class Room extends Store {
  channel: string;
  phase: RoomPhase = 'none';
  reason = '';
  recoverable = false;
  offset = 0;
  epoch = '';
  /** Clients in the channel; null when the server does not tell. */
  present: number | null = null;
  /** Newest first. */
  messages: readonly Message[] = [];
  received = 0;
  lastRecovery: Recovery | null = null;
  /** Called for each publication, before watchers are. */
  onMessage: (message: Message) => void = () => {};

  #connection: Connection;
  #subscription: Subscription | null = null;
  #recovering = false;
  #nextKey = 1;
  #presenceTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(connection: Connection, channel: string) {
    super();
    this.#connection = connection;
    this.channel = channel;
  }

  subscribe(channel: string): void {
    this.leave();
    const client = this.#connection.client;
    if (client === null) return;
    if (channel !== this.channel) this.#forget();
    this.channel = channel;
    this.present = null;
    const subscription = client.newSubscription(channel, { recoverable: true, positioned: true, joinLeave: true });
    this.#subscription = subscription;
    subscription.on('subscribing', ({ reason, code }) => this.#enter('subscribing', code > 0 ? reason : ''));
    subscription.on('subscribed', (context) => this.#subscribed(context));
    subscription.on('unsubscribed', ({ code, reason }) => this.#enter('ended', code === 0 ? '' : `${reason} (${code})`));
    subscription.on('publication', (publication) => this.#arrived(publication));
    subscription.on('join', () => this.#countPresent());
    subscription.on('leave', () => this.#countPresent());
    subscription.subscribe();
  }

  leave(): void {
    const subscription = this.#subscription;
    this.#subscription = null;
    if (subscription === null) return;
    subscription.removeAllListeners();
    subscription.unsubscribe();
    this.#connection.client?.removeSubscription(subscription);
    this.#enter('none', '');
  }

  /** Forgets the subscription of a client that is gone. */
  detach(): void {
    this.#subscription = null;
    this.#enter('none', '');
  }

  async publish(text: string): Promise<void> {
    const { client, protocol } = this.#connection;
    if (client === null) throw new Error('not connected');
    await client.publish(this.channel, pack(protocol, { text }));
  }

  #subscribed(context: SubscribedContext): void {
    this.recoverable = context.recoverable;
    this.offset = context.streamPosition?.offset ?? 0;
    this.epoch = context.streamPosition?.epoch ?? '';
    this.lastRecovery = { attempted: context.wasRecovering, recovered: context.recovered };
    // The SDK hands out what was recovered right after this event, before anything else can run.
    this.#recovering = context.recovered && context.hasRecoveredPublications;
    queueMicrotask(() => (this.#recovering = false));
    this.#enter('subscribed', '');
    this.#countPresent();
  }

  #arrived(publication: Publication): void {
    const data = unpack(publication.data);
    const message = messageOf({
      key: this.#nextKey,
      data,
      offset: publication.offset ?? null,
      publisher: publication.info?.client ?? null,
      ownId: this.#connection.clientId,
      recovered: this.#recovering,
      missed: readMissed(data),
      at: Date.now(),
    });
    this.#nextKey += 1;
    this.received += 1;
    if (publication.offset !== undefined) this.offset = publication.offset;
    this.messages = [message, ...this.messages].slice(0, KEPT_MESSAGES);
    this.onMessage(message);
    this.changed();
  }

  #countPresent(): void {
    clearTimeout(this.#presenceTimer);
    this.#presenceTimer = setTimeout(() => {
      this.#subscription?.presenceStats().then(
        ({ numClients }) => this.#setPresent(numClients),
        // Without permission, or in a channel that keeps no presence, the page shows none.
        () => this.#setPresent(null),
      );
    }, PRESENCE_DELAY_MS);
  }

  #setPresent(count: number | null): void {
    this.present = count;
    this.changed();
  }

  #forget(): void {
    this.messages = [];
    this.received = 0;
    this.lastRecovery = null;
  }

  #enter(phase: RoomPhase, reason: string): void {
    this.phase = phase;
    this.reason = reason;
    this.changed();
  }
}
