// Scripts of a page, in its directory. Each is a process of its own; the functions that earlier ones defined, each
// on one line, are put before it.

import { execFile, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

import { BINARY } from '../support/server.mjs';

const execute = promisify(execFile);
const DEFINITION = /^[a-z_]+\(\) \{.*\}$/;

export class Shell {
  #directory;
  #environment;
  #definitions = [];

  constructor(directory) {
    this.#directory = directory;
    const bin = path.join(directory, 'bin');
    mkdirSync(bin);
    // A server started by a script takes a free port; a command has no port.
    const wrapper = path.join(bin, 'tidegate');
    writeFileSync(wrapper, `#!/bin/sh\ncase "$1" in -*) set -- "$@" --http_server.port 0;; esac\nexec '${BINARY}' "$@"\n`);
    chmodSync(wrapper, 0o755);
    this.#environment = { PATH: `${bin}:${process.env.PATH}`, HOME: directory };
  }

  /** Runs a script; what it printed, without the last line break. */
  async run(script) {
    const lines = script.split('\n');
    this.#definitions.push(...lines.filter((line) => DEFINITION.test(line)));
    const text = [...this.#definitions, ...lines.filter((line) => !DEFINITION.test(line))].join('\n');
    const { stdout } = await execute('sh', ['-euc', text], { cwd: this.#directory, env: this.#environment });
    return stdout.trimEnd();
  }

  /** Runs a script whose last command is a server, stops that once it serves, and wants it to end in order. */
  serve(script) {
    return new Promise((resolve, reject) => {
      const child = spawn('sh', ['-euc', lastReplacesShell(script)], {
        cwd: this.#directory,
        env: this.#environment,
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let log = '';
      child.stderr.setEncoding('utf8').on('data', (text) => {
        log += text;
        if (/ endpoints on /.test(log)) child.kill('SIGTERM');
      });
      child.once('error', reject);
      child.once('close', (code, signal) => {
        if (code === 0) resolve();
        else reject(new Error(`ended with ${signal ?? code}:\n${log}`));
      });
    });
  }
}

function lastReplacesShell(script) {
  const lines = script.split('\n');
  return [...lines.slice(0, -1), `exec ${lines.at(-1)}`].join('\n');
}

/** `cert.pem` and `key.pem`, which examples name. */
export function makeCertificate(directory) {
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', 'key.pem'];
  return execute('openssl', ['req', '-x509', ...key, '-out', 'cert.pem', '-days', '2', ...subject], { cwd: directory });
}
