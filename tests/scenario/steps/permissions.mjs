import { equal, fails } from '../check.mjs';

const CHANNEL_LIMIT = 32;

export const permissions = {
  'a private channel needs a token for it': async (t) => {
    const channel = `$${t.channel('closed')}`;
    const alice = await t.connect('alice');
    await fails(alice.subscribe(channel), 103, 'subscribe without a token');

    const bob = await t.connect('bob');
    await bob.subscribe(channel, { token: await t.subscriptionToken('bob', channel) });
    await t.api('publish', { channel, data: { n: 1 } });
    await bob.received(channel, 1);
  },

  'a token for another channel or user ends the connection: 3500': async (t) => {
    const channel = `$${t.channel('closed')}`;
    const alice = await t.connect('alice');
    const other = await t.subscriptionToken('alice', `$${t.channel('closed', 'other')}`);
    alice.prepare(channel, { token: other }).subscribe();
    equal((await alice.disconnected()).code, 3500, 'code for another channel');

    const bob = await t.connect('bob');
    bob.prepare(channel, { token: await t.subscriptionToken('carol', channel) }).subscribe();
    equal((await bob.disconnected()).code, 3500, 'code for another user');
  },

  'a user-limited channel admits the users in its name': async (t) => {
    const channel = `limited:dialog#${t.user('alice')},${t.user('bob')}`;
    const [alice, bob, carol] = await Promise.all([t.connect('alice'), t.connect('bob'), t.connect('carol')]);
    await alice.subscribe(channel);
    await bob.subscribe(channel);
    await fails(carol.subscribe(channel), 103, 'a user who is not in the name');
    await t.api('publish', { channel, data: { n: 1 } });
    await Promise.all([alice.received(channel, 1), bob.received(channel, 1)]);
  },

  'denied channels have their codes': async (t) => {
    const alice = await t.connect('alice');
    await fails(alice.subscribe(t.channel('nowhere')), 102, 'unknown namespace');
    await fails(alice.subscribe(t.channel('closed')), 103, 'not allowed');
    await fails(alice.subscribe(t.channel('plain', 'канал')), 107, 'not ASCII');
    await fails(alice.subscribe(t.channel('plain', 'x'.repeat(300))), 107, 'too long');
    await alice.rpc('ping');
  },

  'denied publications have their codes': async (t) => {
    const alice = await t.connect('alice');
    await fails(alice.publish(t.channel('nowhere'), {}), 102, 'unknown namespace');
    await fails(alice.publish(t.channel('plain'), {}), 103, 'not allowed');
    await fails(alice.publish(t.channel('stream'), {}), 103, 'allowed for subscribers only');
    await alice.rpc('ping');
  },

  'denied presence has its codes': async (t) => {
    const alice = await t.connect('alice');
    await fails(alice.presence(t.channel('plain')), 108, 'presence that is not kept');
    await fails(alice.presence(t.channel('room')), 103, 'allowed for subscribers only');
    await fails(alice.sdk.presenceStats(t.channel('room')), 103, 'statistics too');
  },

  'one channel more than the limit is error 106': async (t) => {
    const alice = await t.connect('alice');
    const channels = Array.from({ length: CHANNEL_LIMIT }, (_, index) => t.channel('plain', `limit-${index}`));
    await Promise.all(channels.map((channel) => alice.subscribe(channel)));
    await fails(alice.subscribe(t.channel('plain', 'one-more')), 106, 'subscribe');
  },
};
