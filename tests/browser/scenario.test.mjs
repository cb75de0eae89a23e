// The shared scenario in Chromium, over all transports. Each has a page of its own; its steps share it.

import { after, before, describe, test } from 'node:test';

import { equal } from '../scenario/check.mjs';
import { stepNames } from '../scenario/index.mjs';
import { closePage, launchChromium, openPage } from '../support/chromium.mjs';
import { startServer } from '../support/server.mjs';
import { startSite } from '../support/site.mjs';
import { sign } from '../support/token.mjs';

const TRANSPORTS = [
  ['webtransport', 'json'],
  ['webtransport', 'protobuf'],
  ['websocket', 'json'],
  ['websocket', 'protobuf'],
  ['http_stream', 'json'],
  ['http_stream', 'protobuf'],
  ['sse', 'json'],
];

let site;
let browser;
before(async () => {
  [site, browser] = await Promise.all([startSite(), launchChromium()]);
});
after(() => Promise.all([browser?.close(), site?.stop()]));

// The transports go side by side, as in Node; the steps of one go one after the other.
describe('scenario', { concurrency: 3 }, () => {
  for (const [name, protocol] of TRANSPORTS) {
    describe(`${name}, ${protocol}`, { concurrency: 1 }, () => {
      let server;
      let facts;
      let page;
      before(async () => {
        server = await startServer();
        const answer = await fetch(`${server.url}/tidegate.json`);
        equal(answer.status, 200, 'status of tidegate.json');
        facts = await answer.json();
        ({ page } = await openPage(browser));
        await page.exposeFunction('tidegateCall', server.call);
        await page.exposeFunction('tidegateSign', sign);
        await page.goto(site.url);
      });
      after(async () => {
        if (page) await closePage(page);
        await server?.stop();
      });

      for (const step of stepNames) {
        test(step, { timeout: 60_000 }, () =>
          page.evaluate(
            ([stepName, transport, certificate]) => globalThis.runInPage(stepName, transport, certificate),
            [step, transportOf(server, facts, name, protocol), facts.certificate_sha256],
          ),
        );
      }
    });
  }
});

function transportOf(server, facts, name, protocol) {
  if (name !== 'webtransport') return server.transport(name, protocol);
  const endpoint = `https://127.0.0.1:${facts.quic_port}${facts.transports.webtransport}`;
  return { name, protocol, endpoint };
}
