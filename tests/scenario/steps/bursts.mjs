import { consecutive, equal, fails, same } from '../check.mjs';

export const bursts = {
  'a burst of commands on one channel takes effect in its order': async (t) => {
    const channel = t.channel('stream');
    const [alice, bob] = await Promise.all([t.connect('alice'), t.connect('bob')]);
    await alice.subscribe(channel);
    await bob.subscribe(channel);
    const replies = [];
    for (let n = 1; n <= 50; n += 1) replies.push(alice.publish(channel, { n }));
    const results = await Promise.allSettled(replies);
    equal(results.filter(({ status }) => status === 'fulfilled').length, 50, 'publishes that succeeded');
    for (const client of [alice, bob]) {
      const seen = await client.received(channel, 50);
      equal(seen.length, 50, `publications at ${client.user}`);
      const numbers = seen.map(({ data }) => data.n);
      // Requests of their own may overtake one another on the way; a connection may not.
      if (!overRequests(t)) consecutive(numbers, 1, 50, `data at ${client.user}`);
      consecutive(seen.map(({ offset }) => offset), 1, 50, `offsets at ${client.user}`);
    }
  },

  'many subscriptions at once, all answered': async (t) => {
    const alice = await t.connect('alice');
    const channels = Array.from({ length: 30 }, (_, index) => t.channel('stream', `many${index}`));
    await Promise.all(channels.map((channel) => alice.subscribe(channel)));
    await t.api('broadcast', { channels, data: { n: 1 } });
    for (const channel of channels) await alice.received(channel, 1);
  },

  'more subscriptions than allowed are error 106, one by one': async (t) => {
    const alice = await t.connect('alice');
    for (let n = 0; n < 32; n += 1) await alice.subscribe(t.channel('plain', `one${n}`));
    await fails(alice.subscribe(t.channel('plain', 'one-too-many')), 106, 'subscribe');
    await alice.rpc('ping');
  },

  'an unsubscribe that overtakes its subscribe leaves nothing behind': async (t) => {
    const channel = t.channel('room');
    const [alice, bob] = await Promise.all([t.connect('alice'), t.connect('bob')]);
    await bob.subscribe(channel);
    const subscription = alice.prepare(channel);
    for (let round = 0; round < 10; round += 1) {
      subscription.subscribe();
      subscription.unsubscribe();
    }
    await alice.rpc('ping');
    subscription.subscribe();
    await subscription.ready(10_000);
    await t.api('publish', { channel, data: { n: 1 } });
    const seen = await alice.received(channel, 1);
    same(seen.map(({ data }) => data.n), [1], 'data');
    const present = await bob.presence(channel);
    equal(present.filter(({ user }) => user === alice.user).length, 1, 'presence of the client');
    equal(alice.journal.count('connected'), 1, 'connects');
  },

  'what waits while the link is cut is done when it is back': async (t) => {
    const channel = t.channel('stream');
    const alice = await t.connect('alice');
    await alice.subscribe(channel);
    await alice.cut();
    const late = t.channel('stream', 'late');
    const waiting = alice.prepare(late);
    waiting.subscribe();
    await alice.mend();
    await alice.journal.next('subscribed', { channel: late });
    await alice.publish(channel, { n: 1 });
    await alice.received(channel, 1);
  },
};

function overRequests(t) {
  return ['http_stream', 'sse'].includes(t.transport.name);
}
