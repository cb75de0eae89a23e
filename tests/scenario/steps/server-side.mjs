import { consecutive, equal, fails, same } from '../check.mjs';

export const serverSide = {
  'a channel in the token is subscribed at connect, and recovers': async (t) => {
    const channel = t.channel('stream');
    const alice = await t.connect('alice', { channels: [channel] });
    const first = await alice.journal.next('subscribed', { channel });
    same([first.recoverable, first.positioned], [true, true], 'server-side subscription');
    await t.publishNumbers(channel, 1, 3);
    await alice.received(channel, 3);

    await alice.cut();
    await t.publishNumbers(channel, 4, 10);
    await alice.mend();
    const again = await alice.journal.next('subscribed', { channel, nth: 2 });
    same([again.wasRecovering, again.recovered], [true, true], 'recovery');
    const seen = await alice.received(channel, 13);
    consecutive(seen.map(({ data }) => data.n), 1, 13, 'data');
  },

  'options of a channel in the token count': async (t) => {
    const channel = t.channel('room');
    const claims = { subs: { [channel]: { info: { seat: 7 }, data: { hello: 'there' } } } };
    const alice = await t.connect('alice', claims);
    await alice.journal.next('subscribed', { channel });
    const join = await alice.journal.next('join', { channel });
    same(join.info.chanInfo, { seat: 7 }, 'channel info');
  },

  'a server-side channel cannot be subscribed again: error 105': async (t) => {
    const channel = t.channel('stream');
    const alice = await t.connect('alice', { channels: [channel] });
    await alice.journal.next('subscribed', { channel });
    const refused = alice.prepare(channel);
    const answer = new Promise((resolve) => refused.on('unsubscribed', resolve));
    refused.subscribe();
    equal((await answer).code, 105, 'code');
  },

  'the API subscribes and unsubscribes a user': async (t) => {
    const channel = t.channel('stream');
    const alice = await t.connect('alice');
    await t.api('subscribe', { user: alice.user, channel });
    await alice.journal.next('subscribed', { channel });
    await t.publishNumbers(channel, 1, 2);
    await alice.received(channel, 2);

    await t.api('unsubscribe', { user: alice.user, channel });
    await alice.journal.next('unsubscribed', { channel });
    await t.publishNumbers(channel, 3, 1);
    await alice.rpc('ping');
    equal(alice.journal.count('publication', channel), 2, 'publications after the unsubscribe');
  },

  'the API ends a subscription of the client: code 2000': async (t) => {
    const channel = t.channel('stream');
    const alice = await t.connect('alice');
    await alice.subscribe(channel);
    await t.api('unsubscribe', { user: alice.user, channel });
    const { code, reason } = await alice.journal.next('unsubscribed', { channel });
    equal(code, 2000, 'code');
    equal(reason, 'server unsubscribe', 'reason');
  },

  'an unknown namespace in the API is error 102': async (t) => {
    await fails(t.api('publish', { channel: t.channel('nowhere'), data: {} }), 102, 'publish');
  },
};
