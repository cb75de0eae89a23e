// A server that stops tells each client so, whatever it is connected by, and ends with status 0.

import { describe, test } from 'node:test';

import { equal } from '../scenario/check.mjs';
import { Env, jsonCodec } from '../scenario/env.mjs';
import { nodeSetup } from '../support/node-clients.mjs';
import { startServer } from '../support/server.mjs';

describe('shutdown', () => {
  test('every client is told 3001 and may reconnect elsewhere', async () => {
    const server = await startServer();
    const envs = ['websocket', 'http_stream', 'sse'].map(
      (name) => new Env({ ...nodeSetup(server, name, 'json'), codec: jsonCodec }, name),
    );
    try {
      const clients = await Promise.all(envs.map((env) => env.connect('alice')));
      await server.stop();
      for (const client of clients) {
        const { code, reason } = await client.journal.next('connecting', { nth: 2 });
        equal(code, 3001, `code at ${client.journal.owner}`);
        equal(reason, 'shutdown', `reason at ${client.journal.owner}`);
      }
    } finally {
      for (const env of envs) env.close();
    }
  });
});
