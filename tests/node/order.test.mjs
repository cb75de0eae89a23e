// The first promise of the product: order. Long runs, over one WebSocket, each several times.

import { after, before, describe, test } from 'node:test';

import { consecutive } from '../scenario/check.mjs';
import { Env, jsonCodec } from '../scenario/env.mjs';
import { nodeSetup } from '../support/node-clients.mjs';
import { startServer } from '../support/server.mjs';

const BURST = 1_000;
const SEQUENTIAL = 10_000;
const ROUNDS = 3;
const DEADLINE_MS = 60_000;

const SERVERS = [
  ['one command at a time', () => {}],
  ['commands of a connection handled concurrently', (config) => (config.client.concurrency = 8)],
];

for (const [title, change] of SERVERS) {
  describe(title, () => {
    let server;
    before(async () => {
      server = await startServer(change);
    });
    after(() => server?.stop());

    for (let round = 1; round <= ROUNDS; round += 1) {
      test(`${BURST} publishes of one client in one burst keep their order (${round})`, () =>
        withEnv(server, async (t) => {
          const channel = t.channel('stream');
          const [alice, bob] = await Promise.all([t.connect('alice'), t.connect('bob')]);
          await alice.subscribe(channel);
          await bob.subscribe(channel);
          const replies = [];
          for (let n = 1; n <= BURST; n += 1) replies.push(alice.publish(channel, { n }));
          await Promise.all(replies);
          for (const client of [alice, bob]) {
            const seen = await client.received(channel, BURST, DEADLINE_MS);
            consecutive(seen.map(({ data }) => data.n), 1, BURST, `data at ${client.user}`);
            consecutive(seen.map(({ offset }) => offset), 1, BURST, `offsets at ${client.user}`);
          }
        }));
    }
  });
}

describe('publications from the API', () => {
  let server;
  before(async () => {
    server = await startServer();
  });
  after(() => server?.stop());

  test(`${SEQUENTIAL} sequential publications keep their order`, () =>
    withEnv(server, async (t) => {
      const channel = t.channel('stream');
      const alice = await t.connect('alice');
      await alice.subscribe(channel);
      await t.publishNumbers(channel, 1, SEQUENTIAL);
      const seen = await alice.received(channel, SEQUENTIAL, DEADLINE_MS);
      consecutive(seen.map(({ data }) => data.n), 1, SEQUENTIAL, 'data');
      consecutive(seen.map(({ offset }) => offset), 1, SEQUENTIAL, 'offsets');
    }));
});

async function withEnv(server, body) {
  const env = new Env({ ...nodeSetup(server, 'websocket', 'json'), codec: jsonCodec }, String(process.hrtime.bigint()));
  try {
    await body(env);
  } finally {
    env.close();
  }
}
