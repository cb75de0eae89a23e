// The shared scenario in Node over one transport, with a server of its own.
//
// Each transport has a file that calls this: the steps spend most of their time waiting for something to
// expire, and the runner has files side by side.

import { after, before, describe, test } from 'node:test';

import { runStep, stepNames } from '../scenario/index.mjs';
import { nodeSetup } from './node-clients.mjs';
import { startServer } from './server.mjs';

export function scenario(name, protocol) {
  describe(`Node, ${name}, ${protocol}`, () => {
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
