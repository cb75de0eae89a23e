import { equal, ok, same } from '../check.mjs';

export const presence = {
  'presence lists who is there, with their info': async (t) => {
    const channel = t.channel('room');
    const alice = await t.connect('alice', { info: { name: 'Alice' } });
    const bob = await t.connect('bob', { info: { name: 'Bob' } });
    await alice.subscribe(channel);
    await bob.subscribe(channel);
    const present = await alice.presence(channel);
    same(present.map(({ user }) => user).sort(), [alice.user, bob.user].sort(), 'users');
    same(present.map(({ connInfo }) => connInfo.name).sort(), ['Alice', 'Bob'], 'connection infos');
    const clients = [alice, bob].map((client) => client.journal.all('connected')[0].client);
    same(present.map(({ client }) => client).sort(), clients.sort(), 'client ids');
    const { numClients, numUsers } = await bob.sdk.presenceStats(channel);
    same([numClients, numUsers], [2, 2], 'statistics');
    const stats = await t.api('presence_stats', { channel });
    same([stats.num_clients, stats.num_users], [2, 2], 'statistics of the API');
  },

  'join and leave are pushed, also the own join': async (t) => {
    const channel = t.channel('room');
    const alice = await t.connect('alice');
    await alice.subscribe(channel);
    const own = await alice.journal.next('join', { channel });
    equal(own.info.user, alice.user, 'first join');

    const bob = await t.connect('bob');
    const subscription = await bob.subscribe(channel);
    const join = await alice.journal.next('join', { channel, nth: 2 });
    equal(join.info.user, bob.user, 'second join');

    subscription.unsubscribe();
    const leave = await alice.journal.next('leave', { channel });
    equal(leave.info.user, bob.user, 'leave after unsubscribe');

    subscription.subscribe();
    await alice.journal.next('join', { channel, nth: 3 });
    bob.sdk.disconnect();
    await alice.journal.next('leave', { channel, nth: 2 });
    const { numClients } = await alice.sdk.presenceStats(channel);
    equal(numClients, 1, 'clients after the disconnect');
  },

  'a cut connection leaves too': async (t) => {
    const channel = t.channel('room');
    const alice = await t.connect('alice');
    const bob = await t.connect('bob');
    await alice.subscribe(channel);
    await bob.subscribe(channel);
    await alice.journal.next('join', { channel, nth: 2 });
    await bob.cut();
    const leave = await alice.journal.next('leave', { channel });
    equal(leave.info.user, bob.user, 'who left');
    ok(alice.journal.count('disconnected') === 0, 'the other client stays connected');
    await bob.mend();
    const join = await alice.journal.next('join', { channel, nth: 3 });
    equal(join.info.user, bob.user, 'who came back');
  },
};
