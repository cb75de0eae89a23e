// Debian's Chromium, headless and quiet, with QUIC left on: WebTransport is what it is here for.

import { chromium } from 'playwright-core';

const EXECUTABLE = process.env.CHROMIUM_BIN ?? '/usr/bin/chromium';
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export function launchChromium() {
  return chromium.launch({ executablePath: EXECUTABLE, headless: true, args: FLAGS });
}

/** A page in a context of its own, and the exceptions that nobody caught in it. */
export async function openPage(browser, options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const exceptions = [];
  page.on('pageerror', (error) => exceptions.push(String(error)));
  return { page, exceptions };
}

/** Closes the page before its context: one that vanishes with its context says no goodbye over QUIC. */
export async function closePage(page) {
  await page.close();
  await page.context().close();
}
