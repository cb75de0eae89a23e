import { consecutive, equal, ok, same } from '../check.mjs';

export const compaction = {
  'pushes find their subscription by number': async (t) => {
    const channels = ['one', 'two'].map((name) => t.channel('compact', name));
    const alice = await t.connect('alice');
    const subscriptions = [];
    for (const channel of channels) subscriptions.push(await alice.subscribe(channel));
    // The SDK offers to understand numbers by itself; that it was told one shows in nothing but this field. Over
    // Protobuf it is told none (src/session/compaction.rs).
    const [one, two] = subscriptions.map(({ _id }) => Number(_id));
    if (t.transport.protocol === 'json') ok(one > 0 && two > 0 && one !== two, `numbers ${one} and ${two}`);
    else same([one, two], [0, 0], 'numbers');
    for (const channel of channels) await t.publishNumbers(channel, 1, 20);
    for (const channel of channels) {
      const seen = await alice.received(channel, 20);
      consecutive(seen.map(({ data }) => data.n), 1, 20, `data in ${channel}`);
    }

    const bob = await t.connect('bob');
    const subscription = await bob.subscribe(channels[0]);
    equal(Number(subscription._id), one, 'the number of a channel is the same for all');
    const join = await alice.journal.next('join', { channel: channels[0], nth: 2 });
    equal(join.info.user, bob.user, 'join');
    subscription.unsubscribe();
    const leave = await alice.journal.next('leave', { channel: channels[0] });
    equal(leave.info.user, bob.user, 'leave');
    await t.api('unsubscribe', { user: alice.user, channel: channels[0] });
    const { code } = await alice.journal.next('unsubscribed', { channel: channels[0] });
    equal(code, 2000, 'the end is told by name');
  },

  'a number may be another one after a reconnect': async (t) => {
    const channel = t.channel('compact');
    const alice = await t.connect('alice');
    await alice.subscribe(channel);
    await t.publishNumbers(channel, 1, 3);
    await alice.received(channel, 3);
    await alice.cut();
    await t.publishNumbers(channel, 4, 3);
    await alice.mend();
    await alice.received(channel, 6);
    await t.publishNumbers(channel, 7, 3);
    const seen = await alice.received(channel, 9);
    same(seen.map(({ offset }) => offset), [1, 2, 3, 4, 5, 6, 7, 8, 9], 'offsets');
  },

  'collected publications come in order': async (t) => {
    const channel = t.channel('collect');
    const alice = await t.connect('alice');
    await alice.subscribe(channel);
    await t.publishNumbers(channel, 1, 50);
    const seen = await alice.received(channel, 50);
    consecutive(seen.map(({ data }) => data.n), 1, 50, 'data');
    consecutive(seen.map(({ offset }) => offset), 1, 50, 'offsets');
  },

  'of collected publications the latest stands for all': async (t) => {
    const channel = t.channel('newest');
    const alice = await t.connect('alice');
    const subscription = await alice.subscribe(channel);
    await t.publishNumbers(channel, 1, 20);
    const seen = await alice.received(channel, 2);
    same(seen.map(({ data }) => data.n), [10, 20], 'data');
    // The SDK takes the position of what it got for its own.
    subscription.unsubscribe();
    await alice.journal.next('unsubscribed', { channel });
    subscription.subscribe();
    await alice.journal.next('subscribed', { channel, nth: 2 });
    await t.publishNumbers(channel, 21, 10);
    const [, , last] = await alice.received(channel, 3);
    equal(last.offset, 30, 'offset');
  },
};
