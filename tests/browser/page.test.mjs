// The test page as a visitor finds it: served by the binary, in a development configuration.

import { mkdir } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { equal, ok, same } from '../scenario/check.mjs';
import { closePage, launchChromium, openPage } from '../support/chromium.mjs';
import { forDevelopment } from '../support/configuration.mjs';
import { startServer } from '../support/server.mjs';

const OUT = fileURLToPath(new URL('../.out/', import.meta.url));
const LABELS = { webtransport: 'WebTransport', websocket: 'WebSocket', http_stream: 'HTTP-streaming', sse: 'SSE' };
const SCREENS = {
  light: { viewport: { width: 1280, height: 900 }, colorScheme: 'light', reducedMotion: 'reduce' },
  dark: { viewport: { width: 1280, height: 900 }, colorScheme: 'dark', reducedMotion: 'reduce' },
  phone: { viewport: { width: 390, height: 844 }, colorScheme: 'light', reducedMotion: 'reduce' },
};

describe('test page', { timeout: 180_000 }, () => {
  let server;
  let browser;
  before(async () => {
    await mkdir(OUT, { recursive: true });
    [server, browser] = await Promise.all([startServer(forDevelopment), launchChromium()]);
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  /** Opens the page and hands it over; whatever threw in it fails the test. */
  async function visit(body, { options, prepare } = {}) {
    const { page, exceptions } = await openPage(browser, options);
    try {
      await prepare?.(page);
      await page.goto(`http://localhost:${server.port}/`);
      await body(page);
      same(exceptions, [], 'exceptions in the page');
    } finally {
      await closePage(page);
    }
  }

  test('connects over WebTransport, shows a message from the API and one of its own', () =>
    visit(async (page) => {
      await connectedOver(page, 'webtransport');
      equal(await page.getByTestId('protocol').textContent(), 'JSON', 'protocol');
      ok(/^[0-9a-f-]{36}$/.test(await page.getByTestId('client-id').textContent()), 'client id is a UUID');
      equal(await page.getByTestId('version').textContent(), '0.1.0 Tidegate', 'version');
      await page.getByTestId('rtt-last').filter({ hasText: 'ms' }).waitFor();

      await subscribed(page);
      await server.call('publish', { channel: 'demo', data: { text: 'from a backend' } });
      await message(page, 'from a backend').filter({ hasText: 'server API' }).waitFor();

      await page.getByTestId('publish-input').fill('прилив 🌊');
      await page.getByTestId('publish').click();
      await message(page, 'прилив 🌊').filter({ hasText: 'this connection' }).waitFor();
    }));

  test('speaks Protobuf over WebTransport', () =>
    visit(async (page) => {
      await connectedOver(page, 'webtransport');
      await page.getByTestId('speak-protobuf').click();
      await page.getByTestId('protocol').filter({ hasText: 'Protobuf' }).waitFor();
      await connectedOver(page, 'webtransport');
      await subscribed(page);
      await server.call('publish', { channel: 'demo', data: { text: 'in Protobuf' } });
      await message(page, 'in Protobuf').waitFor();
    }));

  test('a burst keeps its order', () =>
    visit(async (page) => {
      await subscribed(page);
      await page.getByTestId('burst').click();
      await message(page, '20 of 20 at').waitFor();
      const texts = await page.getByTestId('message').locator('.message-text').allTextContents();
      const numbers = texts.filter((text) => text.includes(' of 20 at ')).map((text) => Number.parseInt(text, 10));
      same(numbers.slice(0, 20).reverse(), Array.from({ length: 20 }, (_, index) => index + 1), 'order');
    }));

  for (const name of Object.keys(LABELS)) {
    test(`over ${LABELS[name]} a cut connection recovers what it missed`, () =>
      visit(async (page) => {
        await page.getByTestId(`tab-${name}`).click();
        await connectedOver(page, name);
        await subscribed(page);
        await page.getByTestId('missed-count').selectOption('100');
        await page.getByTestId('cut').click();
        const result = page.getByTestId('recovery');
        await result.filter({ hasText: /\S/ }).waitFor();
        equal(await result.textContent(), 'recovered: true · 100 of 100 publications recovered', 'result');
        await message(page, 'missed message 100 of 100').filter({ hasText: 'recovered' }).waitFor();
      }));
  }

  test('falls back step by step as transports are switched off', () =>
    visit(async (page) => {
      const order = Object.keys(LABELS);
      for (const [index, name] of order.entries()) {
        await connectedOver(page, name);
        await subscribed(page);
        equal(await state(page, name), 'open', `state of ${name}`);
        if (index + 1 < order.length) await page.getByTestId(`switch-${name}`).click();
      }
      await server.call('publish', { channel: 'demo', data: { text: 'over the last one' } });
      await message(page, 'over the last one').waitFor();
      for (const name of order.slice(0, -1)) equal(await state(page, name), 'off', `state of ${name}`);
    }));

  test('falls back by itself where QUIC is blocked', () =>
    visit(
      async (page) => {
        await connectedOver(page, 'websocket');
        equal(await state(page, 'webtransport'), 'failed', 'state of WebTransport');
        equal(await state(page, 'websocket'), 'open', 'state of WebSocket');
        await page.screenshot({ path: `${OUT}fallback.png`, fullPage: true });
      },
      { prepare: (page) => page.addInitScript(blockQuic) },
    ));

  for (const [screen, options] of Object.entries(SCREENS)) {
    test(`is shown with all transports connected (${screen})`, () =>
      visit(
        async (page) => {
          await connectedOver(page, 'webtransport');
          await page.getByTestId('connect-all').click();
          for (const name of Object.keys(LABELS)) {
            await page.locator(`[data-testid="tab-${name}"][data-phase="connected"]`).waitFor();
          }
          await subscribed(page);
          await page.getByTestId('publish-input').fill('The tide is in');
          await page.getByTestId('publish').click();
          await message(page, 'The tide is in').first().waitFor();
          await page.getByTestId('missed-count').selectOption('10');
          await page.getByTestId('cut').click();
          await page.getByTestId('recovery').filter({ hasText: /\S/ }).waitFor();
          await server.call('publish', { channel: 'demo', data: { text: 'A word from the backend' } });
          await message(page, 'A word from the backend').first().waitFor();
          // The chart of the slowest lane has a line to show.
          await page.locator('.tab:last-child .chart-line[d*="L"]').waitFor({ state: 'attached' });
          equal(await overflow(page), false, 'the page is wider than the screen');
          await page.screenshot({ path: `${OUT}page-${screen}.png`, fullPage: true });
        },
        { options },
      ));
  }
});

function connectedOver(page, name) {
  return page.getByTestId('state').filter({ hasText: `Connected over ${LABELS[name]}` }).waitFor();
}

function subscribed(page) {
  return page.getByTestId('subscription').filter({ hasText: 'Subscribed' }).waitFor();
}

function message(page, text) {
  return page.getByTestId('message').filter({ hasText: text });
}

function state(page, name) {
  return page.getByTestId(`route-${name}`).getAttribute('data-state');
}

function overflow(page) {
  return page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
}

/** Runs in the page: a network that lets no UDP through, as the browser reports it. */
function blockQuic() {
  globalThis.WebTransport = class {
    ready = Promise.reject(new Error('Opening handshake failed.'));
    closed = Promise.reject(new Error('Opening handshake failed.'));
    close() {}
  };
}
