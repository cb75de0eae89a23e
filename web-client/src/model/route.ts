// The way through the transports: which are tried, in what order, and which one carries the connection.

import type { TransportName } from '../net/transports';

export type StepState =
  /** The server does not offer it, the browser cannot do it, or the protocol does not go over it. */
  | 'unavailable'
  /** Switched off by the user. */
  | 'off'
  /** Its turn has not come. */
  | 'waiting'
  | 'trying'
  | 'failed'
  | 'open';

export interface Step {
  readonly transport: TransportName;
  readonly state: StepState;
  /** Why it is unavailable or has failed. */
  readonly note: string;
  /** How long the attempt has taken, once it is decided. */
  readonly tookMs: number | null;
}

export interface Candidate {
  readonly transport: TransportName;
  readonly enabled: boolean;
  /** Null when the transport can be used. */
  readonly obstacle: string | null;
}

export class Route {
  #steps: Step[];
  #triedAt = 0;

  constructor(candidates: readonly Candidate[]) {
    this.#steps = candidates.map(({ transport, enabled, obstacle }) => {
      if (obstacle !== null) return { transport, state: 'unavailable', note: obstacle, tookMs: null };
      return { transport, state: enabled ? 'waiting' : 'off', note: '', tookMs: null };
    });
  }

  get steps(): readonly Step[] {
    return this.#steps;
  }

  /** The transports that a client may try, in order. */
  get usable(): TransportName[] {
    return this.#steps.filter(({ state }) => state !== 'off' && state !== 'unavailable').map(({ transport }) => transport);
  }

  get open(): TransportName | null {
    return this.#steps.find(({ state }) => state === 'open')?.transport ?? null;
  }

  tried(transport: TransportName, now: number): void {
    this.#triedAt = now;
    // An attempt that another one follows has failed, whether or not anybody said so.
    for (const step of this.#steps) {
      if (step.state === 'trying' && step.transport !== transport) this.#set(step.transport, { state: 'failed', note: 'no answer' });
      if (step.state === 'open') this.#set(step.transport, { state: 'waiting', note: '', tookMs: null });
    }
    this.#set(transport, { state: 'trying', note: '', tookMs: null });
  }

  failed(transport: TransportName, why: string, now: number): void {
    this.#set(transport, { state: 'failed', note: why, tookMs: now - this.#triedAt });
  }

  connected(transport: TransportName, now: number): void {
    this.#set(transport, { state: 'open', note: '', tookMs: now - this.#triedAt });
  }

  /** The client has been told to stop: nothing is tried or open any more. */
  stopped(): void {
    for (const { transport, state } of this.#steps) {
      if (state === 'trying' || state === 'open') this.#set(transport, { state: 'waiting', note: '', tookMs: null });
    }
  }

  #set(transport: TransportName, change: Partial<Step>): void {
    this.#steps = this.#steps.map((step) => (step.transport === transport ? { ...step, ...change } : step));
  }
}
