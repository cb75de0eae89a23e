// One connection to the server, over the first transport of its list that works.

import { type Natives, Link } from '../net/link';
import { endpoint, type Settings } from '../net/settings';
import { type Centrifuge, createClient } from '../net/sdk';
import { carries, isTransportName, type Protocol, type TransportName, TRANSPORTS } from '../net/transports';
import { onLink } from '../net/webtransport';
import { Route } from './route';
import { Store } from './store';

export type Phase = 'off' | 'connecting' | 'connected' | 'ended';

export interface Surroundings {
  readonly settings: Settings;
  readonly natives: Natives;
  readonly page: URL;
  /** A token that the user has entered; overrides that of the settings. */
  token: string | null;
}

const MIN_RECONNECT_MS = 200;
const MAX_RECONNECT_MS = 3_000;

export class Connection extends Store {
  readonly transports: readonly TransportName[];
  phase: Phase = 'off';
  /** Why the connection is not there: code and reason of the server, or an error of the transport. */
  reason = '';
  clientId = '';
  connectedAt = 0;
  reconnects = 0;
  protocol: Protocol = 'json';
  route: Route;
  link: Link;
  client: Centrifuge | null = null;

  #around: Surroundings;
  #enabled: Set<TransportName>;

  constructor(around: Surroundings, transports: readonly TransportName[] = TRANSPORTS) {
    super();
    this.#around = around;
    this.transports = transports;
    this.#enabled = new Set(transports);
    this.link = new Link(around.natives, endpoint(around.settings, 'http_stream', around.page));
    this.route = this.#newRoute();
  }

  /** What the two sides have agreed on, once they are connected. */
  get negotiated(): { transport: TransportName; protocol: Protocol } | null {
    const transport = this.route.open;
    return this.phase === 'connected' && transport !== null ? { transport, protocol: this.protocol } : null;
  }

  start(prepare: (client: Centrifuge) => void = () => {}): void {
    this.stop();
    this.route = this.#newRoute();
    const usable = this.route.usable;
    if (usable.length === 0) {
      this.#enter('ended', 'no transport is left to try');
      return;
    }
    this.client = this.#newClient(usable);
    prepare(this.client);
    this.client.connect();
  }

  stop(): void {
    const client = this.client;
    this.client = null;
    client?.removeAllListeners();
    client?.disconnect();
    this.link.mend();
    this.route.stopped();
    this.reconnects = 0;
    this.#enter('off', '');
  }

  enabled(transport: TransportName): boolean {
    return this.#enabled.has(transport);
  }

  enable(transport: TransportName, on: boolean): void {
    if (on) this.#enabled.add(transport);
    else this.#enabled.delete(transport);
    this.route = this.#newRoute();
    this.changed();
  }

  /** Whether any of the transports can carry the protocol. */
  canSpeak(protocol: Protocol): boolean {
    return this.transports.some((transport) => carries(transport, protocol));
  }

  #newRoute(): Route {
    const candidates = this.transports.map((transport) => ({
      transport,
      enabled: this.#enabled.has(transport),
      obstacle: this.#obstacle(transport),
    }));
    return new Route(candidates);
  }

  #obstacle(transport: TransportName): string | null {
    if (this.#around.settings.paths[transport] === null) return 'not offered by the server';
    if (transport === 'webtransport' && !('WebTransport' in globalThis)) return 'not supported by this browser';
    if (!carries(transport, this.protocol)) return 'carries no Protobuf';
    return null;
  }

  #newClient(usable: readonly TransportName[]): Centrifuge {
    const { settings, page, token } = this.#around;
    const endpoints = usable.map((transport) => {
      const address = endpoint(settings, transport, page) ?? '';
      return { transport, endpoint: transport === 'webtransport' ? onLink(address, this.link) : address };
    });
    const client = createClient(this.protocol, endpoints, {
      ...this.link.dependencies(),
      emulationEndpoint: new URL(settings.emulation ?? '/emulation', page.origin).toString(),
      token: token ?? settings.token ?? '',
      name: 'tidegate-page',
      minReconnectDelay: MIN_RECONNECT_MS,
      maxReconnectDelay: MAX_RECONNECT_MS,
    });
    this.link.onAttempt = (transport) => {
      this.route.tried(transport, performance.now());
      this.changed();
    };
    client.on('connecting', ({ code, reason }) => this.#enter('connecting', code === 0 ? '' : `${reason} (${code})`));
    client.on('connected', ({ client: id, transport }) => {
      if (this.connectedAt > 0) this.reconnects += 1;
      this.clientId = id;
      this.connectedAt = Date.now();
      if (isTransportName(transport)) this.route.connected(transport, performance.now());
      this.#enter('connected', '');
    });
    client.on('disconnected', ({ code, reason }) => this.#enter('ended', `${reason} (${code})`));
    client.on('error', ({ error, transport }) => {
      if (isTransportName(transport)) this.route.failed(transport, error.message, performance.now());
      this.changed();
    });
    return client;
  }

  #enter(phase: Phase, reason: string): void {
    this.phase = phase;
    this.reason = reason;
    if (phase === 'off') this.connectedAt = 0;
    if (phase !== 'connected') this.clientId = '';
    this.changed();
  }
}
