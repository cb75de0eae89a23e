import { consecutive, equal, same } from '../check.mjs';

export const state = {
  'getState gives the position at first, and again only where recovery fails': async (t) => {
    const channel = t.channel('short');
    await t.publishNumbers(channel, 1, 5);
    const alice = await t.connect('alice');
    const getState = async () => {
      const { offset, epoch } = await t.api('history', { channel });
      alice.journal.record('state', { channel, offset });
      return { offset, epoch };
    };
    await alice.subscribe(channel, { getState });
    await t.publishNumbers(channel, 6, 3);
    await alice.received(channel, 3);

    await alice.cut();
    await t.publishNumbers(channel, 9, 4);
    await alice.mend();
    await alice.received(channel, 7);
    equal(alice.journal.count('state'), 1, 'states after a recovery');

    // More than the stream keeps: the subscription is refused with 112, and the SDK asks for the state.
    await alice.cut();
    await t.publishNumbers(channel, 13, 50);
    await alice.mend();
    const again = await alice.journal.next('state', { nth: 2 });
    equal(again.offset, 62, 'position of the new state');
    await alice.journal.next('subscribed', { channel, nth: 3 });
    await t.publishNumbers(channel, 63, 2);
    const seen = await alice.received(channel, 9);
    same(seen.map(({ data }) => data.n), [6, 7, 8, 9, 10, 11, 12, 63, 64], 'data');
  },

  'publications between getState and the subscription arrive': async (t) => {
    const channel = t.channel('stream');
    await t.publishNumbers(channel, 1, 5);
    const alice = await t.connect('alice');
    const getState = async () => {
      const { offset, epoch } = await t.api('history', { channel });
      await t.publishNumbers(channel, 6, 20);
      return { offset, epoch };
    };
    await alice.subscribe(channel, { getState });
    const seen = await alice.received(channel, 20);
    consecutive(seen.map(({ data }) => data.n), 6, 20, 'data');
  },

  'a getState that fails is tried again': async (t) => {
    const channel = t.channel('stream');
    const alice = await t.connect('alice');
    let calls = 0;
    const getState = async () => {
      calls += 1;
      if (calls === 1) throw new Error('the backend is away');
      const { offset, epoch } = await t.api('history', { channel });
      return { offset, epoch };
    };
    await alice.subscribe(channel, { getState });
    equal(calls, 2, 'calls');
  },

  'cache mode recovers the latest publication only': async (t) => {
    const channel = t.channel('latest');
    const alice = await t.connect('alice');
    await alice.subscribe(channel);
    await t.publishNumbers(channel, 1, 1);
    await alice.received(channel, 1);
    await alice.cut();
    await t.publishNumbers(channel, 2, 50);
    await alice.mend();
    const again = await alice.journal.next('subscribed', { channel, nth: 2 });
    same([again.wasRecovering, again.recovered], [true, true], 'recovery');
    await t.publishNumbers(channel, 52, 1);
    const seen = await alice.received(channel, 3);
    same(seen.map(({ data }) => data.n), [1, 51, 52], 'data');
  },

  'cache mode sends nothing that the client has': async (t) => {
    const channel = t.channel('latest');
    const alice = await t.connect('alice');
    await alice.subscribe(channel);
    await t.publishNumbers(channel, 1, 2);
    await alice.received(channel, 2);
    await alice.cut();
    await alice.mend();
    const again = await alice.journal.next('subscribed', { channel, nth: 2 });
    same([again.recovered, again.hasRecoveredPublications], [true, false], 'recovery');
  },

  'a new subscriber is given the latest publication where the channel says so': async (t) => {
    const channel = t.channel('state');
    await t.publishNumbers(channel, 1, 3);
    const alice = await t.connect('alice');
    await alice.subscribe(channel);
    const { wasRecovering, recovered } = await alice.journal.next('subscribed', { channel });
    same([wasRecovering, recovered], [true, true], 'recovery');
    const seen = await alice.received(channel, 1);
    same(seen.map(({ data }) => data.n), [3], 'data');
  },

  'positions and recovery are for those that ask, where they may': async (t) => {
    const channel = t.channel('asked');
    const wishes = [{}, { positioned: true }, { recoverable: true }];
    const clients = await Promise.all(wishes.map((_wish, index) => t.connect(`alice${index}`)));
    for (const [index, client] of clients.entries()) {
      await client.subscribe(channel, wishes[index]);
      const { positioned, recoverable } = client.journal.all('subscribed', channel)[0];
      same([positioned, recoverable], [index > 0, index === 2], `given for ${JSON.stringify(wishes[index])}`);
    }
  },
};
