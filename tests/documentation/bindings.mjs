// Names in examples and what they stand for in this run.

const NAME = /<([a-z][a-z0-9 -]*)>/;
// What servers make up: `"epoch":"qqkzZHqI"` on a page is as good as a name.
const MADE_UP = /("(?:epoch|client|session|node|uid)": ?)"([^"<>]+)"/;
// Numbers that depend on the moment.
const MOMENT = /("(?:ttl|uptime)": ?)(\d+)/;
const ANY = new RegExp(`${NAME.source}|${MADE_UP.source}|${MOMENT.source}`, 'g');

export class Bindings {
  #values = new Map();
  #madeUp = new Set();

  bind(name, value) {
    this.#values.set(name, value);
  }

  /** The text with everything that is known replaced, for sending. */
  fill(text) {
    let filled = text.replace(new RegExp(NAME, 'g'), (whole, name) => this.#values.get(name) ?? whole);
    for (const made of this.#madeUp) filled = filled.replaceAll(made, this.#values.get(made));
    return filled;
  }

  /** Compares a text with what a page shows, and keeps what the names stand for. */
  match(expected, actual) {
    const [names, madeUp, source] = [[], [], []];
    let end = 0;
    for (const found of expected.matchAll(ANY)) {
      const [whole, name, key, made, moment] = found;
      source.push(quote(expected.slice(end, found.index)));
      end = found.index + whole.length;
      if (moment !== undefined) {
        source.push(`${quote(moment)}\\d+`);
        continue;
      }
      if (made !== undefined) madeUp.push(made);
      source.push(key === undefined ? this.#pattern(name, names) : `${quote(key)}"${this.#pattern(made, names)}"`);
    }
    source.push(quote(expected.slice(end)));
    const result = new RegExp(`^${source.join('')}$`).exec(actual);
    if (!result) throw new Error(`expected ${this.fill(expected)}\n     got ${actual}`);
    for (const [index, name] of names.entries()) this.#values.set(name, result[index + 1]);
    for (const made of madeUp) this.#madeUp.add(made);
  }

  /** What may stand for a name; the first time it is a group, whose text becomes its value. */
  #pattern(name, names) {
    if (this.#values.has(name)) return quote(String(this.#values.get(name)));
    const earlier = names.indexOf(name);
    if (earlier >= 0) return `\\${earlier + 1}`;
    names.push(name);
    return '([^"]+)';
  }
}

function quote(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
