import { equal, fails, ok } from '../check.mjs';
import { BRIEF, seconds } from '../env.mjs';

export const tokens = {
  'a forged token is refused for good: 3500': async (t) => {
    const token = await t.token('alice');
    const forged = `${token.slice(0, token.lastIndexOf('.'))}.${'A'.repeat(43)}`;
    const alice = t.open('alice', { token: forged });
    const { code, reason } = await alice.disconnected();
    equal(code, 3500, 'code');
    equal(reason, 'invalid token', 'reason');
  },

  'an expired token is error 109; the client fetches another and connects': async (t) => {
    const alice = t.open('alice', {
      token: await t.token('alice', { exp: seconds(-60) }),
      getToken: () => t.token('alice'),
    });
    const { error } = await alice.journal.next('error');
    equal(error.code, 109, 'code');
    await alice.journal.next('connected');
  },

  'a connection is refreshed before it expires and never breaks': async (t) => {
    const alice = await t.connectBriefly('alice', () => {
      alice.journal.record('refresh', {});
      return t.token('alice', { exp: seconds(BRIEF) });
    });
    // Three lifetimes are longer than a lifetime and the grace that the server gives after it.
    await alice.journal.next('refresh', { nth: 3 });
    equal(alice.journal.count('connected'), 1, 'connects');
    await alice.rpc('ping');
  },

  'a refresh that fails for a while is repeated': async (t) => {
    let calls = 0;
    const alice = await t.connectBriefly('alice', async () => {
      calls += 1;
      if (calls === 1) throw new Error('the backend is away');
      return t.token('alice');
    });
    await alice.journal.until('error of the backend', (journal) =>
      journal.all('error').some(({ error }) => error.message.includes('away')),
    );
    await alice.rpc('ping');
  },

  'a refresh with the token of somebody else is refused for good: 3500': async (t) => {
    const alice = await t.connectBriefly('alice', () => t.token('bob'));
    const { code, reason } = await alice.disconnected();
    equal(code, 3500, 'code');
    equal(reason, 'invalid token', 'reason');
  },

  'a refresh with an expired token is code 3005, and the client fetches another': async (t) => {
    const lifetimes = [-60];
    const alice = await t.connectBriefly('alice', () => t.token('alice', { exp: seconds(lifetimes.pop() ?? 3600) }));
    const { code } = await alice.journal.next('connecting', { nth: 2 });
    equal(code, 3005, 'code');
    await alice.journal.next('connected', { nth: 2 });
  },

  'a connection that is not refreshed is closed with 3005': async (t) => {
    let release;
    const later = new Promise((resolve) => (release = resolve));
    const alice = await t.connectBriefly('alice', () => later);
    const { code, reason } = await alice.journal.next('connecting', { nth: 2 });
    equal(code, 3005, 'code');
    equal(reason, 'connection expired', 'reason');
    release(await t.token('alice'));
    await alice.journal.next('connected', { nth: 2 });
  },

  'the API expires a connection and gives another more time': async (t) => {
    const alice = await t.connect('alice', { exp: undefined }, { getToken: () => t.token('alice') });
    await t.api('refresh', { user: alice.user, expire_at: seconds(3600) });
    await alice.rpc('ping');
    equal(alice.journal.count('connected'), 1, 'connects');
    await t.api('refresh', { user: alice.user, expired: true });
    const { code } = await alice.journal.next('connecting', { nth: 2 });
    equal(code, 3005, 'code');
    await alice.journal.next('connected', { nth: 2 });
  },

  'a subscription is refreshed before it expires and never breaks': async (t) => {
    const channel = `$${t.channel('closed')}`;
    const alice = await t.connect('alice');
    await t.subscribeBriefly(alice, 'alice', channel, () => {
      alice.journal.record('refresh', {});
      return t.subscriptionToken('alice', channel, { exp: seconds(BRIEF) });
    });
    await alice.journal.next('refresh', { nth: 3 });
    await alice.rpc('ping');
    equal(alice.journal.count('subscribed', channel), 1, 'subscribes');
  },

  'a subscription that is not refreshed ends with 2501 and comes back with a new token': async (t) => {
    const channel = `$${t.channel('closed')}`;
    let release;
    const later = new Promise((resolve) => (release = resolve));
    const alice = await t.connect('alice');
    await t.subscribeBriefly(alice, 'alice', channel, () => later);
    const { code, reason } = await alice.journal.next('subscribing', { channel, nth: 2 });
    equal(code, 2501, 'code');
    equal(reason, 'subscription expired', 'reason');
    release(await t.subscriptionToken('alice', channel));
    await alice.journal.next('subscribed', { channel, nth: 2 });
    ok(alice.journal.count('connected') === 1, 'the connection itself goes on');
  },

  'a subscription refreshed with the token of another channel ends the connection for good: 3500': async (t) => {
    const channel = `$${t.channel('closed')}`;
    const alice = await t.connect('alice');
    await t.subscribeBriefly(alice, 'alice', channel, () => t.subscriptionToken('alice', `${channel}-other`));
    const { code, reason } = await alice.disconnected();
    equal(code, 3500, 'code');
    equal(reason, 'invalid token', 'reason');
  },

  'an application that gives no subscription token ends the subscription': async (t) => {
    const channel = `$${t.channel('closed')}`;
    const alice = await t.connect('alice');
    alice.prepare(channel, { getToken: async () => '' }).subscribe();
    const { code } = await alice.journal.next('unsubscribed', { channel });
    equal(code, 1, 'code of the SDK');
    await alice.rpc('ping');
  },

  'an expired subscription token is error 109; the client fetches another': async (t) => {
    const channel = `$${t.channel('closed')}`;
    const alice = await t.connect('alice');
    const token = await t.subscriptionToken('alice', channel, { exp: seconds(-60) });
    alice.prepare(channel, { token, getToken: () => t.subscriptionToken('alice', channel) }).subscribe();
    const { error } = await alice.journal.next('error', { channel });
    equal(error.code, 109, 'code');
    await alice.journal.next('subscribed', { channel });
  },

  'an invalid subscription token is error 103': async (t) => {
    const channel = `$${t.channel('closed')}`;
    const alice = await t.connect('alice');
    await fails(alice.subscribe(channel, { token: 'not.a.token' }), 103, 'subscribe');
    await alice.rpc('ping');
  },
};
