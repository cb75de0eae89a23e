// What the blocks of one page share: a directory, a shell, a server, a module, and names.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { sign } from '../support/token.mjs';
import { startServer } from '../support/server.mjs';
import { Bindings } from './bindings.mjs';
import { startApplication } from './application.mjs';
import { Module } from './module.mjs';
import { makeCertificate, Shell } from './shell.mjs';
import { play } from './transcript.mjs';

export class Page {
  #name;
  #directory;
  #shell;
  #bindings = new Bindings();
  #config = {};
  #application;
  #server = null;
  #module = null;
  #printed = null;

  static async open(name) {
    const directory = await mkdtemp(path.join(tmpdir(), 'tidegate-docs-'));
    await makeCertificate(directory);
    const page = new Page(name, directory);
    page.#application = await startApplication((claims) => page.#sign(claims));
    return page;
  }

  constructor(name, directory) {
    this.#name = name;
    this.#directory = directory;
    this.#shell = new Shell(directory);
  }

  async run({ info, text, line }) {
    const [, kind, name = 'token'] = /^(json token)(?: (.+))?$/.exec(info) ?? [info, info];
    switch (kind) {
      case 'json config':
        return this.#configure(text, ['-s']);
      case 'json config lenient':
        return this.#configure(text, []);
      case 'json token':
        return this.#bindings.bind(name, this.#sign(JSON.parse(text)));
      case 'json answer':
        return this.#answer(text);
      case 'json log':
        return this.#log(text);
      case 'sh':
        this.#printed = await this.#shell.run(this.#localize(text));
        return undefined;
      case 'sh serve':
        return this.#shell.serve(text);
      case 'transcript':
        return play(text, this.#needServer(), this.#bindings);
      case 'js':
        await this.#module?.stop();
        this.#module = await Module.start(`${this.#name}-${line}`, this.#inBrowser(text));
        return undefined;
      case 'js output':
        if (!this.#module) throw new Error('there is no module before it');
        return this.#module.prints(text.split('\n'), this.#bindings);
      default:
        throw new Error(`unknown kind of block: ${info || 'none'}; the kinds are listed in pages.test.mjs`);
    }
  }

  async close() {
    await this.#module?.stop();
    await this.#server?.stop();
    await this.#application.stop();
    await rm(this.#directory, { recursive: true, force: true });
  }

  /** Starts the server anew with the configuration as the page shows it. */
  async #configure(text, strictly) {
    await writeFile(path.join(this.#directory, 'config.json'), text);
    const complaints = await this.#shell.run(`tidegate checkconfig ${strictly.join(' ')} -c config.json 2>&1`);
    if (strictly.length > 0 && complaints) throw new Error(`the configuration is not good: ${complaints}`);
    await this.#server?.stop();
    this.#server = null;
    this.#config = await this.#complete(JSON.parse(text));
    this.#server = await startServer((config) => {
      for (const key of Object.keys(config)) delete config[key];
      Object.assign(config, this.#config);
    });
  }

  async #complete(config) {
    config.http_server = { ...config.http_server, address: '127.0.0.1' };
    // The server has a directory of its own, so what the page names as a file in its directory needs a path.
    const tls = config.http_server.tls;
    for (const key of ['cert_pem', 'key_pem']) {
      if (tls?.[key]) tls[key] = await readFile(path.join(this.#directory, tls[key]), 'utf8');
    }
    config.http_api = { key: 'secret', ...config.http_api };
    config.client = { ...config.client };
    config.client.token = { hmac_secret_key: 'a long random secret', ...config.client.token };
    return config;
  }

  #answer(text) {
    if (this.#printed === null) throw new Error('there is no script before it');
    const [expected, actual] = [text.split('\n'), this.#printed.split('\n')];
    if (expected.length !== actual.length) throw new Error(`expected ${expected.length} lines, got:\n${this.#printed}`);
    for (const [index, line] of expected.entries()) this.#bindings.match(line, actual[index]);
  }

  async #log(text) {
    const server = this.#needServer();
    const same = (line) => JSON.stringify(withoutMoment(JSON.parse(line)));
    for (const line of text.split('\n')) {
      await server.logged(`a line like ${line}`, (logged) => same(logged) === same(line));
    }
  }

  #sign(claims) {
    return sign(claims, this.#config.client.token.hmac_secret_key);
  }

  #needServer() {
    if (!this.#server) throw new Error('the page has no configuration before it');
    return this.#server;
  }

  #inBrowser(text) {
    return this.#localize(text).replaceAll('https://app.example.com', this.#application.url);
  }

  /** The text with names replaced, and addresses of examples by the server's. */
  #localize(text) {
    const filled = this.#bindings.fill(text);
    if (!this.#server) return filled;
    return filled
      .replaceAll(/(?:localhost|127\.0\.0\.1):8000/g, this.#server.host)
      .replaceAll(/\b(http|ws)s:\/\/rt\.example\.com(?::\d+)?/g, `$1://${this.#server.host}`);
  }
}

function withoutMoment(line) {
  return { ...line, ...('time' in line && { time: '' }), ...('path' in line && { path: '' }) };
}
