import { consecutive, equal, fails, same } from '../check.mjs';

const RISING = { op: 'and', nodes: [{ key: 'kind', cmp: 'eq', val: 'level' }, { key: 'cm', cmp: 'gte', val: '420' }] };

export const filters = {
  'a filter lets through what it names, live and after a cut': async (t) => {
    const channel = t.channel('tagged');
    const [alice, bob] = await Promise.all([t.connect('alice'), t.connect('bob')]);
    await alice.subscribe(channel, { tagsFilter: RISING });
    await bob.subscribe(channel);
    await publishLevels(t, channel, 1, 20);
    await alice.cut();
    await publishLevels(t, channel, 21, 20);
    await alice.mend();
    const again = await alice.journal.next('subscribed', { channel, nth: 2 });
    same([again.wasRecovering, again.recovered], [true, true], 'recovery');
    await publishLevels(t, channel, 41, 20);

    const seen = await alice.received(channel, 30);
    same(seen.map(({ data }) => data.n), Array.from({ length: 30 }, (_, index) => 2 * index + 2), 'what is wanted');
    const all = await bob.received(channel, 60);
    consecutive(all.map(({ data }) => data.n), 1, 60, 'everything');
  },

  'what is filtered out is no gap': async (t) => {
    const channel = t.channel('tagged');
    const alice = await t.connect('alice');
    await alice.subscribe(channel, { tagsFilter: { key: 'kind', cmp: 'eq', val: 'never' } });
    await publishLevels(t, channel, 1, 30);
    await alice.cut();
    await alice.mend();
    const again = await alice.journal.next('subscribed', { channel, nth: 2 });
    same([again.wasRecovering, again.recovered], [true, true], 'recovery');
    await alice.rpc('ping');
    equal(alice.journal.count('publication', channel), 0, 'publications');
    equal(alice.journal.count('unsubscribed', channel), 0, 'ends');
  },

  'a filter is changed by subscribing anew': async (t) => {
    const channel = t.channel('tagged');
    const alice = await t.connect('alice');
    const subscription = await alice.subscribe(channel, { tagsFilter: RISING });
    await publishLevels(t, channel, 1, 4);
    await alice.received(channel, 2);
    subscription.unsubscribe();
    subscription.setTagsFilter({ op: 'not', nodes: [RISING] });
    subscription.subscribe();
    await alice.journal.next('subscribed', { channel, nth: 2 });
    await publishLevels(t, channel, 5, 4);
    const seen = await alice.received(channel, 4);
    same(seen.map(({ data }) => data.n).slice(-2), [5, 7], 'by the new filter');
  },

  'every comparison is known': async (t) => {
    const channel = t.channel('tagged');
    const alice = await t.connect('alice');
    const wanted = [
      { key: 'kind', cmp: 'eq', val: 'level' },
      { key: 'kind', cmp: 'neq', val: 'alarm' },
      { key: 'kind', cmp: 'in', vals: ['alarm', 'level'] },
      { key: 'kind', cmp: 'nin', vals: ['alarm'] },
      { key: 'kind', cmp: 'ex' },
      { key: 'ghost', cmp: 'nex' },
      { key: 'kind', cmp: 'sw', val: 'lev' },
      { key: 'kind', cmp: 'ew', val: 'vel' },
      { key: 'kind', cmp: 'ct', val: 'eve' },
      { key: 'cm', cmp: 'gt', val: '419.5' },
      { key: 'cm', cmp: 'gte', val: '420' },
      { key: 'cm', cmp: 'lt', val: '420.1' },
      { key: 'cm', cmp: 'lte', val: '420' },
    ];
    const tagsFilter = { op: 'and', nodes: [...wanted, { op: 'or', nodes: [wanted[0], { key: 'ghost', cmp: 'ex' }] }] };
    await alice.subscribe(channel, { tagsFilter });
    await t.api('publish', { channel, data: { n: 1 }, tags: { kind: 'level', cm: '420' } });
    await t.api('publish', { channel, data: { n: 2 }, tags: { kind: 'level', cm: '421' } });
    await t.api('publish', { channel, data: { n: 3 }, tags: { kind: 'level', cm: '420.0' } });
    const seen = await alice.received(channel, 2);
    same(seen.map(({ data }) => data.n), [1, 3], 'data');
  },

  'a filter where none is accepted, or that is none, is error 107': async (t) => {
    const alice = await t.connect('alice');
    await fails(alice.subscribe(t.channel('stream'), { tagsFilter: RISING }), 107, 'not accepted');
    const malformed = { key: 'kind', cmp: 'resembles', val: 'level' };
    await fails(alice.subscribe(t.channel('tagged'), { tagsFilter: malformed }), 107, 'malformed');
    await alice.rpc('ping');
  },

  'a filter in the token of a subscription cannot be lifted': async (t) => {
    const channel = t.channel('tagged');
    const alice = await t.connect('alice');
    const token = await t.subscriptionToken('alice', channel, { server_tags_filter: RISING });
    await alice.subscribe(channel, { token });
    await publishLevels(t, channel, 1, 6);
    const seen = await alice.received(channel, 3);
    same(seen.map(({ data }) => data.n), [2, 4, 6], 'data');
  },
};

/** Every other of the readings is above the mark. */
async function publishLevels(t, channel, from, count) {
  for (let n = from; n < from + count; n += 1) {
    const tags = { kind: 'level', cm: n % 2 === 0 ? '430.5' : '99' };
    await t.api('publish', { channel, data: { n }, tags });
  }
}
