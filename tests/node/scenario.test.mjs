// The shared scenario in Node, over each transport that Node has.

import { after, before, describe, test } from 'node:test';

import { runStep, stepNames } from '../scenario/index.mjs';
import { nodeSetup } from '../support/node-clients.mjs';
import { startServer } from '../support/server.mjs';

const TRANSPORTS = [
  ['websocket', 'json'],
  ['websocket', 'protobuf'],
  ['http_stream', 'json'],
  ['http_stream', 'protobuf'],
  ['sse', 'json'],
];

// The steps spend most of their time waiting for something to expire, so the transports go side by side, each
// with a server of its own; the steps of one transport go one after the other.
describe('scenario', { concurrency: 3 }, () => {
  for (const [name, protocol] of TRANSPORTS) {
    describe(`${name}, ${protocol}`, { concurrency: 1 }, () => {
      let server;
      before(async () => {
        server = await startServer();
      });
      after(() => server?.stop());

      for (const step of stepNames) {
        test(step, { timeout: 60_000 }, () => runStep(step, nodeSetup(server, name, protocol)));
      }
    });
  }
});
