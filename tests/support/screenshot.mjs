// `npm run screenshot`: the picture of the test page in docs/, taken after half a minute of work.

import { fileURLToPath } from 'node:url';

import { closePage, launchChromium, openPage } from './chromium.mjs';
import { forDevelopment } from './configuration.mjs';
import { startServer } from './server.mjs';

const FILE = fileURLToPath(new URL('../../docs/test-page.png', import.meta.url));
const SAMPLES = 30;
const READINGS = ['4.21 m and rising', '4.48 m and rising', 'High water: 4.63 m'];

const [server, browser] = await Promise.all([startServer(forDevelopment), launchChromium()]);
try {
  const { page } = await openPage(browser, {
    viewport: { width: 1280, height: 900 },
    colorScheme: 'light',
    reducedMotion: 'reduce',
  });
  page.setDefaultTimeout(120_000);
  await page.goto(`http://localhost:${server.port}/`);
  await page.getByTestId('subscription').filter({ hasText: 'Subscribed' }).waitFor();
  await page.getByTestId('connect-all').click();
  await page.getByTestId('missed-count').selectOption('10');
  await page.getByTestId('cut').click();
  await page.getByTestId('recovery').filter({ hasText: /\S/ }).waitFor();
  await page.waitForFunction(
    (samples) => document.querySelector('.tab:last-child .chart-line')?.getAttribute('d')?.split('L').length > samples,
    SAMPLES,
  );
  for (const text of READINGS) await server.call('publish', { channel: 'demo', data: { text } });
  await page.getByTestId('publish-input').fill('Thanks! Opening the gate');
  await page.getByTestId('publish').click();
  await page.getByTestId('message').filter({ hasText: 'Opening the gate' }).waitFor();
  await page.screenshot({ path: FILE, fullPage: true });
  await closePage(page);
} finally {
  await browser.close();
  await server.stop();
}
