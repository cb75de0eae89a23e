// The round trip of a connection: one RPC a second, answered by the server itself (`rpc.ping`).

import type { Connection } from './connection';
import { pack } from '../net/sdk';
import { RoundTrips } from './round-trips';
import { Store } from './store';

const PERIOD_MS = 1_000;
/** The first waits until the page has drawn what a new connection changes, and does not measure that. */
const FIRST_MS = 250;
/** Errors of a server that answers no such RPC: method not found, not available. */
const NOT_OFFERED = [104, 108];

export class Pulse extends Store {
  readonly roundTrips = new RoundTrips();
  /** False once the server has said that it does not answer pings. */
  offered = true;

  #connection: Connection;
  #waiting = false;
  #clientId = '';

  constructor(connection: Connection) {
    super();
    this.#connection = connection;
    setInterval(() => this.measure(), PERIOD_MS);
    connection.watch(() => {
      if (connection.clientId === this.#clientId) return;
      this.#clientId = connection.clientId;
      setTimeout(() => this.measure(), FIRST_MS);
    });
  }

  measure(): void {
    const { client, phase, protocol } = this.#connection;
    if (client === null || phase !== 'connected' || this.#waiting || !this.offered || document.hidden) return;
    this.#waiting = true;
    const started = performance.now();
    client.rpc('ping', pack(protocol, {})).then(
      () => this.#done(performance.now() - started),
      (error: { code?: number }) => {
        if (NOT_OFFERED.includes(error.code ?? 0)) this.offered = false;
        this.#done(null);
      },
    );
  }

  #done(milliseconds: number | null): void {
    this.#waiting = false;
    this.roundTrips.add(milliseconds);
    this.changed();
  }
}
