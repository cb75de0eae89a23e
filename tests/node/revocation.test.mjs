// What the published SDK does when tokens are revoked and users are blocked: the codes were chosen for that.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { nodeSetup } from '../support/node-clients.mjs';
import { startServer } from '../support/server.mjs';

let server;
let setup;
before(async () => {
  server = await startServer();
  setup = nodeSetup(server, 'websocket', 'json');
});
after(() => server?.stop());

/** A client that fetches a token with another `jti` each time, and counts how often. */
function clientOf(user) {
  const { Centrifuge, transport, platform, sign } = setup;
  const client = new Centrifuge(transport.endpoint, {
    ...platform,
    websocket: platform.WebSocket,
    minReconnectDelay: 10,
    getToken: async () => {
      client.tokens += 1;
      return sign({ sub: user, jti: `${user}-${client.tokens}` });
    },
  });
  client.tokens = 0;
  return client;
}

const next = (emitter, event) => new Promise((resolve) => emitter.once(event, resolve));

test('a revoked connection token is replaced', { timeout: 20_000 }, async () => {
  const client = clientOf('alice');
  const connected = next(client, 'connected');
  client.connect();
  await connected;
  const connecting = next(client, 'connecting');
  const again = next(client, 'connected');
  await server.call('revoke_token', { uid: 'alice-1' });
  assert.equal((await connecting).code, 3014);
  await again;
  assert.equal(client.tokens, 2);
  client.disconnect();
});

test('a revoked token is replaced when connecting', { timeout: 20_000 }, async () => {
  const client = clientOf('bob');
  await server.call('revoke_token', { uid: 'bob-1' });
  const connected = next(client, 'connected');
  client.connect();
  await connected;
  assert.equal(client.tokens, 2);
  client.disconnect();
});

test('a revoked subscription token is replaced', { timeout: 20_000 }, async () => {
  const client = clientOf('carol');
  client.connect();
  let tokens = 0;
  const subscription = client.newSubscription('$news', {
    minResubscribeDelay: 10,
    getToken: async ({ channel }) => {
      tokens += 1;
      return setup.sign({ sub: 'carol', channel, jti: `news-${tokens}` });
    },
  });
  const subscribed = next(subscription, 'subscribed');
  subscription.subscribe();
  await subscribed;
  const subscribing = next(subscription, 'subscribing');
  const again = next(subscription, 'subscribed');
  await server.call('revoke_token', { uid: 'news-1' });
  assert.equal((await subscribing).code, 2502);
  await again;
  assert.equal(tokens, 2);
  assert.equal(client.state, 'connected');
  client.disconnect();
});

test('a blocked user stays away', { timeout: 20_000 }, async () => {
  const client = clientOf('mallory');
  const connected = next(client, 'connected');
  client.connect();
  await connected;
  let disconnected = next(client, 'disconnected');
  await server.call('block_user', { user: 'mallory' });
  assert.equal((await disconnected).code, 3507);
  disconnected = next(client, 'disconnected');
  client.connect();
  assert.equal((await disconnected).code, 3507);
  await server.call('unblock_user', { user: 'mallory' });
  const back = next(client, 'connected');
  client.connect();
  await back;
  client.disconnect();
});
