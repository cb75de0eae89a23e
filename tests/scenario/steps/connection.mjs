import { equal, fails, ok } from '../check.mjs';

export const connection = {
  'a client connects with a token': async (t) => {
    const alice = await t.connect('alice');
    const [connected] = alice.journal.all('connected');
    equal(connected.transport, t.transport.name, 'transport of the connection');
    ok(/^[0-9a-f-]{36}$/.test(connected.client), `client id is a UUID: ${connected.client}`);
    await alice.rpc('ping');
  },

  'an unknown RPC method is error 104 and the connection lives on': async (t) => {
    const alice = await t.connect('alice');
    await fails(alice.rpc('no-such-method'), 104, 'rpc');
    await alice.rpc('ping');
  },

  'a client without credentials is refused with 3501': async (t) => {
    const nobody = t.open('nobody');
    const { code, reason } = await nobody.disconnected();
    equal(code, 3501, 'code');
    equal(reason, 'bad request', 'reason');
  },

  'an API disconnect is terminal by default: 3503': async (t) => {
    const alice = await t.connect('alice');
    await t.api('disconnect', { user: alice.user });
    const { code, reason } = await alice.disconnected();
    equal(code, 3503, 'code');
    equal(reason, 'force disconnect', 'reason');
  },

  'an API disconnect with a code of the application decides about the reconnect': async (t) => {
    const alice = await t.connect('alice');
    await t.api('disconnect', { user: alice.user, disconnect: { code: 4100, reason: 'come back' } });
    const again = await alice.journal.next('connecting', { nth: 2 });
    equal(again.code, 4100, 'code of the reconnect');
    equal(again.reason, 'come back', 'reason of the reconnect');
    await alice.journal.next('connected', { nth: 2 });

    await t.api('disconnect', { user: alice.user, disconnect: { code: 4600, reason: 'stay away' } });
    const { code, reason } = await alice.disconnected();
    equal(code, 4600, 'code');
    equal(reason, 'stay away', 'reason');
  },
};
