// Starts the real binary on a free port with a configuration of its own, and stops it as an operator would.

import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';

import { configuration } from './configuration.mjs';

export const BINARY = process.env.TIDEGATE_BIN ?? fileURLToPath(new URL('../../target/debug/tidegate', import.meta.url));
const START_MS = 30_000;
const STOP_MS = 20_000;
const SERVING = / endpoints on .*:(\d+)/;
const LOG_TAIL = 60;

/** Starts a server; `change` edits the configuration of the tests. Resolves when its port is open. */
export async function startServer(change = () => {}) {
  const directory = await mkdtemp(path.join(tmpdir(), 'tidegate-test-'));
  const config = configuration(directory);
  change(config);
  await writeFile(path.join(directory, 'config.json'), JSON.stringify(config, null, 2));
  // By a flag, because a zero in the file stands for the default port.
  const child = spawn(BINARY, ['--config', path.join(directory, 'config.json'), '--http_server.port', '0'], {
    cwd: directory,
    env: { PATH: process.env.PATH, HOME: directory, ...(process.env.RUST_BACKTRACE && { RUST_BACKTRACE: '1' }) },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const server = new Server(child, directory, config.http_api.key);
  try {
    await server.ready();
  } catch (error) {
    child.kill('SIGKILL');
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
  return server;
}

class Server {
  #child;
  #directory;
  #apiKey;
  #log = [];
  #exit;
  #onLine = () => {};

  constructor(child, directory, apiKey) {
    this.#child = child;
    this.#directory = directory;
    this.#apiKey = apiKey;
    readline.createInterface({ input: child.stderr }).on('line', (line) => {
      this.#log.push(line);
      this.#onLine(line);
    });
    this.#exit = new Promise((resolve) => {
      child.once('error', (error) => resolve({ error }));
      child.once('close', (code, signal) => resolve({ code, signal }));
    });
  }

  async ready() {
    const port = new Promise((resolve) => {
      this.#onLine = (line) => {
        const found = SERVING.exec(message(line));
        if (found) resolve(Number(found[1]));
      };
    });
    const ended = this.#exit.then((end) => {
      throw new Error(`the server ended before it was ready: ${ending(end)}\n${this.tail()}`);
    });
    this.port = await within(START_MS, Promise.race([port, ended]), () => `no port in the log\n${this.tail()}`);
    this.host = `127.0.0.1:${this.port}`;
    this.url = `http://${this.host}`;
  }

  /** One server API request; resolves with the parsed body and refuses any status but 200. */
  call = async (method, body = {}) => {
    const response = await fetch(`${this.url}/api/${method}`, {
      method: 'POST',
      headers: { 'X-API-Key': this.#apiKey, 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${method}: HTTP ${response.status}: ${text}`);
    return JSON.parse(text);
  };

  /** What a client of the transport has to know; the same names as in `TransportEndpoint` of the SDK. */
  transport(name, protocol) {
    const scheme = name === 'websocket' ? 'ws' : 'http';
    return {
      name,
      protocol,
      endpoint: `${scheme}://${this.host}/connection/${name}`,
      emulationEndpoint: `${this.url}/emulation`,
    };
  }

  /** SIGTERM; the server has to end by itself, in time, with status 0, and without a panic in its log. */
  async stop() {
    this.#child.kill('SIGTERM');
    try {
      const end = await within(STOP_MS, this.#exit, () => `the server did not stop\n${this.tail()}`);
      if (end.code !== 0) throw new Error(`the server ended with ${ending(end)}\n${this.tail()}`);
      const panic = this.#log.find((line) => line.includes('panicked at'));
      if (panic) throw new Error(`the server panicked: ${panic}`);
    } finally {
      this.#child.kill('SIGKILL');
      await rm(this.#directory, { recursive: true, force: true });
    }
  }

  /** Waits until a line of the log fulfils the condition. */
  logged(what, condition) {
    const found = new Promise((resolve) => {
      this.#onLine = () => this.#log.some(condition) && resolve();
      this.#onLine();
    });
    return within(START_MS, found, () => `no ${what} in the log\n${this.tail()}`);
  }

  tail() {
    return this.#log.slice(-LOG_TAIL).join('\n');
  }
}

/** The message of a JSON log line; the line itself when it is something else, such as a panic. */
function message(line) {
  try {
    return JSON.parse(line).message ?? '';
  } catch {
    return line;
  }
}

function ending({ error, code, signal }) {
  if (error) return error.message;
  return signal ? `signal ${signal}` : `status ${code}`;
}

async function within(ms, promise, what) {
  let timer;
  const deadline = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${ms} ms passed: ${what()}`)), ms);
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
