// The experiment behind the button: cut the connection, let others publish, mend it, and see what comes.

import { pack } from '../net/sdk';
import { Connection, type Surroundings } from './connection';
import type { Room } from './room';
import { Store } from './store';

export type CutPhase = 'idle' | 'cut' | 'publishing' | 'mending' | 'done' | 'failed';

export interface CutReport {
  readonly phase: CutPhase;
  readonly published: number;
  readonly total: number;
  /** Of those published during the cut, how many have come since. */
  readonly arrived: number;
  readonly recovered: boolean;
  /** From the mended network to the last of the missed messages. */
  readonly backAfterMs: number | null;
  readonly note: string;
}

const IDLE: CutReport = {
  phase: 'idle',
  published: 0,
  total: 0,
  arrived: 0,
  recovered: false,
  backAfterMs: null,
  note: '',
};
const DEADLINE_MS = 15_000;

export class Cut extends Store {
  report: CutReport = IDLE;

  #around: Surroundings;
  #connection: Connection;
  #room: Room;

  constructor(around: Surroundings, connection: Connection, room: Room) {
    super();
    this.#around = around;
    this.#connection = connection;
    this.#room = room;
  }

  get running(): boolean {
    return !['idle', 'done', 'failed'].includes(this.report.phase);
  }

  reset(): void {
    this.#set(IDLE);
  }

  async run(total: number): Promise<void> {
    const other = new Connection(this.#around);
    const mark = crypto.randomUUID();
    const link = this.#connection.link;
    this.#set({ ...IDLE, phase: 'cut', total });
    try {
      await this.#started(other);
      link.cut();
      await until(this.#connection, () => this.#connection.phase !== 'connected', 'the connection did not notice the cut');
      await this.#publishMissed(other, mark, total);
      await this.#mend(mark, total);
    } catch (error) {
      this.#set({ ...this.report, phase: 'failed', note: error instanceof Error ? error.message : String(error) });
    } finally {
      link.mend();
      this.#room.onMessage = () => {};
      other.stop();
    }
  }

  async #started(other: Connection): Promise<void> {
    other.start();
    await until(other, () => other.phase === 'connected', 'the second connection, which publishes, did not open');
  }

  async #publishMissed(other: Connection, mark: string, total: number): Promise<void> {
    this.#set({ ...this.report, phase: 'publishing' });
    for (let number = 1; number <= total; number += 1) {
      const data = { text: `missed message ${number} of ${total}`, missed: mark };
      await other.client?.publish(this.#room.channel, pack(other.protocol, data));
      this.#set({ ...this.report, published: number });
    }
  }

  async #mend(mark: string, total: number): Promise<void> {
    const room = this.#room;
    const mendedAt = performance.now();
    room.lastRecovery = null;
    room.onMessage = (message) => {
      if (message.missed === mark) this.#set({ ...this.report, arrived: this.report.arrived + 1 });
    };
    this.#set({ ...this.report, phase: 'mending' });
    this.#connection.link.mend();
    const outcome = () => (room.phase === 'subscribed' ? room.lastRecovery : null);
    await until(room, () => outcome() !== null, 'the subscription did not come back');
    const recovered = outcome()?.recovered ?? false;
    if (recovered) await until(this, () => this.report.arrived === total, 'not every missed message came');
    this.#set({ ...this.report, phase: 'done', recovered, backAfterMs: performance.now() - mendedAt });
  }

  #set(report: CutReport): void {
    this.report = report;
    this.changed();
  }
}

function until(store: Store, met: () => boolean, otherwise: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const check = () => {
      if (!met()) return;
      finish();
      resolve();
    };
    const timer = setTimeout(() => {
      finish();
      reject(new Error(otherwise));
    }, DEADLINE_MS);
    const unwatch = store.watch(check);
    const finish = () => {
      clearTimeout(timer);
      unwatch();
    };
    check();
  });
}
