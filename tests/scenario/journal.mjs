// What happened to one client, in order, and a way to wait for it.
//
// Nothing in the scenario sleeps: a step waits until the journal fulfils a condition. The condition is
// tried again after every event, and a wait that ends at its deadline tells what had happened by then.

const DEADLINE_MS = 20_000;

export class Journal {
  #entries = [];
  #waiting = new Set();

  constructor(owner) {
    this.owner = owner;
  }

  record(type, context) {
    // Errors of the SDK have a `type` of their own, which is not the type of the entry.
    this.#entries.push({ ...context, type });
    for (const retry of this.#waiting) retry();
  }

  /** All entries of a type, optionally of one channel, oldest first. */
  all(type, channel) {
    return this.#entries.filter((entry) => entry.type === type && (channel === undefined || entry.channel === channel));
  }

  count(type, channel) {
    return this.all(type, channel).length;
  }

  /** Resolves with the first truthy value of `probe`. */
  until(what, probe, deadline = DEADLINE_MS) {
    return new Promise((resolve, reject) => {
      const settle = (finish) => {
        clearTimeout(timer);
        this.#waiting.delete(retry);
        finish();
      };
      const retry = () => {
        let value;
        try {
          value = probe(this);
        } catch (error) {
          settle(() => reject(error));
          return;
        }
        if (value) settle(() => resolve(value));
      };
      const timer = setTimeout(() => {
        settle(() => reject(new Error(`${this.owner}: no ${what} within ${deadline} ms; last events: ${this.#tail()}`)));
      }, deadline);
      this.#waiting.add(retry);
      retry();
    });
  }

  /** Waits for the entry number `nth` (from 1) of a type and returns it. */
  async next(type, { channel, nth = 1, deadline } = {}) {
    const what = `${type} event${channel ? ` of ${channel}` : ''} (number ${nth})`;
    return this.until(what, () => this.all(type, channel)[nth - 1], deadline);
  }

  #tail() {
    const last = this.#entries.slice(-8).map((entry) => JSON.stringify(entry).slice(0, 160));
    return last.length > 0 ? last.join(' · ') : 'none';
  }
}
