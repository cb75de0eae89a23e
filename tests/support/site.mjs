// The site of the browser scenario: one empty page and one script, on an origin of its own, so that the
// origin check and CORS of the server are part of what is tested.

import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

const ENTRY = fileURLToPath(new URL('../browser/entry.mjs', import.meta.url));
const PAGE = '<!doctype html><meta charset="utf-8"><title>Scenario</title><link rel="icon" href="data:,"><script src="scenario.js"></script>';

export async function startSite() {
  const { outputFiles } = await build({ entryPoints: [ENTRY], bundle: true, format: 'iife', write: false });
  const script = outputFiles[0].text;
  const server = createServer((request, response) => {
    const [type, body] = request.url === '/scenario.js' ? ['text/javascript', script] : ['text/html', PAGE];
    response.writeHead(200, { 'Content-Type': `${type}; charset=utf-8` }).end(body);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    stop: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}
