import { consecutive, equal, fails, same } from '../check.mjs';

export const history = {
  'history is read in pages, forwards and backwards': async (t) => {
    const channel = t.channel('stream');
    const alice = await t.connect('alice');
    await alice.subscribe(channel);
    await t.publishNumbers(channel, 1, 25);

    const top = await alice.history(channel);
    same([top.offset, top.publications], [25, []], 'position only');

    let since;
    const forwards = [];
    for (const size of [10, 10, 5, 0]) {
      const page = await alice.history(channel, { limit: 10, ...(since && { since }) });
      equal(page.publications.length, size, 'size of a page');
      forwards.push(...page.publications);
      since = { offset: forwards.at(-1).offset, epoch: page.epoch };
    }
    consecutive(forwards.map(({ offset }) => offset), 1, 25, 'offsets');
    consecutive(forwards.map(({ data }) => data.n), 1, 25, 'data');

    const newest = await alice.history(channel, { limit: 3, reverse: true });
    same(newest.publications.map(({ offset }) => offset), [25, 24, 23], 'newest first');
    const older = await alice.history(channel, { limit: 3, reverse: true, since: { offset: 23, epoch: top.epoch } });
    same(older.publications.map(({ offset }) => offset), [22, 21, 20], 'the page before');
    const all = await alice.history(channel, { limit: -1 });
    equal(all.publications.length, 25, 'all');
  },

  'a position of another epoch is error 112': async (t) => {
    const channel = t.channel('stream');
    const alice = await t.connect('alice');
    await alice.subscribe(channel);
    await t.publishNumbers(channel, 1, 3);
    const since = { offset: 1, epoch: 'elsewhere' };
    await fails(alice.history(channel, { limit: 10, since }), 112, 'history');
  },

  'history that is not kept is error 108, not allowed is 103': async (t) => {
    const [plain, short] = [t.channel('plain'), t.channel('short')];
    const alice = await t.connect('alice');
    await alice.subscribe(plain);
    await alice.subscribe(short);
    await fails(alice.history(plain, { limit: 1 }), 108, 'history of a channel without one');
    await fails(alice.history(short, { limit: 1 }), 103, 'history without permission');
  },

  'removed history keeps the position': async (t) => {
    const channel = t.channel('stream');
    const alice = await t.connect('alice');
    await alice.subscribe(channel);
    await t.publishNumbers(channel, 1, 5);
    const before = await alice.history(channel, { limit: -1 });
    await t.api('history_remove', { channel });
    const after = await alice.history(channel, { limit: -1 });
    same([after.publications, after.offset, after.epoch], [[], 5, before.epoch], 'history');
  },
};
