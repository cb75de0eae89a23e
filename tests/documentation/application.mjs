// What `app.example.com` is in examples: the application, which knows that user 42 is logged in.

import { createServer } from 'node:http';

/** Answers `/token` with a token for a connection, `/token?channel=…` with one for a subscription. */
export async function startApplication(sign) {
  const server = createServer((request, response) => {
    const channel = new URL(request.url, 'http://app').searchParams.get('channel');
    response.end(sign({ sub: '42', exp: Math.floor(Date.now() / 1000) + 3600, ...(channel && { channel }) }));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}
