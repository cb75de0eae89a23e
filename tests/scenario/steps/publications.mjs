import { consecutive, equal, same } from '../check.mjs';

export const publications = {
  '500 publications from the API arrive in order': async (t) => {
    const channel = t.channel('stream');
    const alice = await t.connect('alice');
    await alice.subscribe(channel);
    await t.publishNumbers(channel, 1, 500);
    const seen = await alice.received(channel, 500);
    consecutive(seen.map(({ data }) => data.n), 1, 500, 'data');
    consecutive(seen.map(({ offset }) => offset), 1, 500, 'offsets');
  },

  'a publication carries its tags': async (t) => {
    const channel = t.channel('stream');
    const alice = await t.connect('alice');
    await alice.subscribe(channel);
    await t.api('publish', { channel, data: { n: 1 }, tags: { kind: 'greeting' } });
    const [publication] = await alice.received(channel, 1);
    same(publication.tags, { kind: 'greeting' }, 'tags');
  },

  'one client publishes, two receive, and see who it was': async (t) => {
    const channel = t.channel('stream');
    const [alice, bob] = await Promise.all([
      t.connect('alice'),
      t.connect('bob', { info: { name: 'Bob' } }),
    ]);
    await alice.subscribe(channel);
    await bob.subscribe(channel);
    await bob.publish(channel, { text: 'hello' });
    for (const client of [alice, bob]) {
      const [publication] = await client.received(channel, 1);
      same(publication.data, { text: 'hello' }, 'data');
      equal(publication.info.user, bob.user, 'publisher');
      same(publication.info.connInfo, { name: 'Bob' }, 'connection info of the publisher');
    }
  },

  'a broadcast reaches every channel': async (t) => {
    const channels = [t.channel('stream', 'a'), t.channel('stream', 'b'), t.channel('stream', 'c')];
    const alice = await t.connect('alice');
    for (const channel of channels) await alice.subscribe(channel);
    await t.api('broadcast', { channels, data: { n: 7 } });
    for (const channel of channels) {
      const [publication] = await alice.received(channel, 1);
      same(publication.data, { n: 7 }, `data in ${channel}`);
    }
  },

  'an idempotency key delivers once': async (t) => {
    const channel = t.channel('stream');
    const alice = await t.connect('alice');
    await alice.subscribe(channel);
    const first = await t.api('publish', { channel, data: { n: 1 }, idempotency_key: 'once' });
    const second = await t.api('publish', { channel, data: { n: 2 }, idempotency_key: 'once' });
    same(second, first, 'answer to the repeat');
    await t.api('publish', { channel, data: { n: 3 } });
    const seen = await alice.received(channel, 2);
    same(seen.map(({ data }) => data.n), [1, 3], 'data');
  },

  'an unsubscribed client receives no more, and may come back': async (t) => {
    const channel = t.channel('plain');
    const alice = await t.connect('alice');
    const subscription = await alice.subscribe(channel);
    await t.api('publish', { channel, data: { n: 1 } });
    await alice.received(channel, 1);
    subscription.unsubscribe();
    // A command after the unsubscribe has been answered: the server has handled both.
    await alice.rpc('ping');
    await t.api('publish', { channel, data: { n: 2 } });
    subscription.subscribe();
    await alice.journal.next('subscribed', { channel, nth: 2 });
    await t.api('publish', { channel, data: { n: 3 } });
    const seen = await alice.received(channel, 2);
    same(seen.map(({ data }) => data.n), [1, 3], 'data');
  },
};
