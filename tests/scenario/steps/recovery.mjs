import { consecutive, equal, same } from '../check.mjs';

export const recovery = {
  '100 publications missed during a cut are recovered': async (t) => {
    const channel = t.channel('stream');
    const alice = await t.connect('alice');
    await alice.subscribe(channel);
    await t.publishNumbers(channel, 1, 10);
    await alice.received(channel, 10);

    await alice.cut();
    await t.publishNumbers(channel, 11, 100);
    await alice.mend();

    const again = await alice.journal.next('subscribed', { channel, nth: 2 });
    same([again.wasRecovering, again.recovered], [true, true], 'recovery');
    await t.publishNumbers(channel, 111, 5);
    const seen = await alice.received(channel, 115);
    consecutive(seen.map(({ offset }) => offset), 1, 115, 'offsets');
    consecutive(seen.map(({ data }) => data.n), 1, 115, 'data');
  },

  'publications that arrive while the client comes back are neither lost nor doubled': async (t) => {
    const channel = t.channel('stream');
    const alice = await t.connect('alice');
    await alice.subscribe(channel);
    for (let round = 0; round < 3; round += 1) {
      await alice.cut();
      await t.publishNumbers(channel, 1 + round * 60, 20);
      await Promise.all([alice.mend(), t.publishNumbers(channel, 21 + round * 60, 40)]);
      const again = await alice.journal.next('subscribed', { channel, nth: 2 + round });
      same([again.wasRecovering, again.recovered], [true, true], `recovery ${round + 1}`);
    }
    const seen = await alice.received(channel, 180);
    consecutive(seen.map(({ offset }) => offset), 1, 180, 'offsets');
    consecutive(seen.map(({ data }) => data.n), 1, 180, 'data');
  },

  'a gap in the history is reported as unrecovered': async (t) => {
    const channel = t.channel('short');
    const alice = await t.connect('alice');
    await alice.subscribe(channel);
    await t.publishNumbers(channel, 1, 1);
    await alice.received(channel, 1);

    await alice.cut();
    await t.publishNumbers(channel, 2, 50);
    await alice.mend();

    const again = await alice.journal.next('subscribed', { channel, nth: 2 });
    same([again.wasRecovering, again.recovered], [true, false], 'recovery');
    equal(again.streamPosition.offset, 51, 'position after the gap');
    await t.publishNumbers(channel, 52, 1);
    const seen = await alice.received(channel, 2);
    same(seen.map(({ data }) => data.n), [1, 52], 'data');
  },

  'more than 300 missed publications are not recovered': async (t) => {
    const channel = t.channel('stream');
    const alice = await t.connect('alice');
    await alice.subscribe(channel);
    await t.publishNumbers(channel, 1, 1);
    await alice.received(channel, 1);
    await alice.cut();
    await t.publishNumbers(channel, 2, 301);
    await alice.mend();
    const again = await alice.journal.next('subscribed', { channel, nth: 2 });
    same([again.wasRecovering, again.recovered], [true, false], 'recovery');
  },

  'a subscription starts from a known position': async (t) => {
    const channel = t.channel('stream');
    await t.publishNumbers(channel, 1, 20);
    const { epoch } = await t.api('history', { channel });
    const alice = await t.connect('alice');
    await alice.subscribe(channel, { since: { offset: 15, epoch } });
    const seen = await alice.received(channel, 5);
    consecutive(seen.map(({ offset }) => offset), 16, 5, 'offsets');
  },
};
