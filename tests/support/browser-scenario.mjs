// The shared scenario in Chromium over one transport: one page, whose script runs the steps.

import { after, before, describe, test } from 'node:test';

import { equal } from '../scenario/check.mjs';
import { stepNames } from '../scenario/index.mjs';
import { closePage, launchChromium, openPage } from './chromium.mjs';
import { startServer } from './server.mjs';
import { startSite } from './site.mjs';
import { sign } from './token.mjs';

export function scenario(name, protocol) {
  describe(`Chromium, ${name}, ${protocol}`, () => {
    let [site, browser, server, page, facts] = [];
    before(async () => {
      [site, browser, server] = await Promise.all([startSite(), launchChromium(), startServer()]);
      facts = await readFacts(server);
      ({ page } = await openPage(browser));
      await page.exposeFunction('tidegateCall', server.call);
      await page.exposeFunction('tidegateSign', sign);
      await page.goto(site.url);
    });
    after(async () => {
      if (page) await closePage(page);
      await Promise.all([browser?.close(), site?.stop()]);
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

async function readFacts(server) {
  const answer = await fetch(`${server.url}/tidegate.json`);
  equal(answer.status, 200, 'status of tidegate.json');
  return answer.json();
}

function transportOf(server, facts, name, protocol) {
  if (name !== 'webtransport') return server.transport(name, protocol);
  const endpoint = `https://127.0.0.1:${facts.quic_port}${facts.transports.webtransport}`;
  return { name, protocol, endpoint };
}
