// An example in JavaScript: a process of its own, with the globals that a browser has.

import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';

const OUT = new URL('../.out/documentation/', import.meta.url);
const GLOBALS = new URL('./globals.mjs', import.meta.url).href;
const DEADLINE_MS = 20_000;

export class Module {
  #child;
  #lines = [];
  #errors = '';
  #onNews = () => {};

  static async start(name, text) {
    // Below the tests, because packages are looked up from where a module is.
    await mkdir(OUT, { recursive: true });
    const file = new URL(`${name}.mjs`, OUT);
    await writeFile(file, text);
    return new Module(fileURLToPath(file));
  }

  constructor(file) {
    this.#child = spawn(process.execPath, ['--import', GLOBALS, file], { stdio: ['ignore', 'pipe', 'pipe'] });
    readline.createInterface({ input: this.#child.stdout }).on('line', (line) => {
      this.#lines.push(line);
      this.#onNews();
    });
    this.#child.stderr.setEncoding('utf8').on('data', (text) => (this.#errors += text));
    this.#child.once('close', () => this.#onNews());
  }

  /** Waits for the next lines that the module prints, and compares them. */
  async prints(expected, bindings) {
    await this.#until(expected.length);
    for (const line of expected) bindings.match(line, this.#lines.shift());
  }

  stop() {
    if (this.#child.exitCode !== null) return undefined;
    const ended = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.kill();
    return ended;
  }

  #until(count) {
    return new Promise((resolve, reject) => {
      const fail = (what) => reject(new Error(`${what}: ${this.#lines.join('\n')}\n${this.#errors}`));
      const timer = setTimeout(() => fail(`no ${count} lines within ${DEADLINE_MS} ms`), DEADLINE_MS);
      this.#onNews = () => {
        if (this.#lines.length < count && this.#child.exitCode === null) return;
        clearTimeout(timer);
        if (this.#lines.length >= count) resolve();
        else fail('the module has ended');
      };
      this.#onNews();
    });
  }
}
