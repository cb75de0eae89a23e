import { equal, ok, same } from '../check.mjs';

export const delta = {
  'deltas arrive as what was published, live and after a cut': async (t) => {
    const channel = t.channel('delta');
    const [alice, bob] = await Promise.all([t.connect('alice'), t.connect('bob')]);
    const subscription = await alice.subscribe(channel, { delta: 'fossil' });
    await bob.subscribe(channel);
    await publishDocuments(t, channel, 1, 20);
    await alice.received(channel, 20);

    await alice.cut();
    await publishDocuments(t, channel, 21, 20);
    await alice.mend();
    const again = await alice.journal.next('subscribed', { channel, nth: 2 });
    same([again.wasRecovering, again.recovered], [true, true], 'recovery');
    await publishDocuments(t, channel, 41, 10);

    for (const client of [alice, bob]) {
      const seen = await client.received(channel, 50);
      same(seen.map(({ data }) => data), documents(1, 50), `data at ${client.user}`);
      same(seen.map(({ offset }) => offset), seen.map((_publication, index) => index + 1), 'offsets');
    }
    const { numDeltaPayloads, bytesReceived, bytesDecoded } = subscription.deltaStats();
    ok(numDeltaPayloads > 40, `most travel as patches: ${numDeltaPayloads} of 50`);
    ok(bytesReceived * 2 < bytesDecoded, `${bytesReceived} bytes received for ${bytesDecoded}`);
  },

  'deltas begin anew where recovery fails': async (t) => {
    const channel = t.channel('brief');
    const alice = await t.connect('alice');
    await alice.subscribe(channel, { delta: 'fossil' });
    await publishDocuments(t, channel, 1, 3);
    await alice.received(channel, 3);
    await alice.cut();
    await publishDocuments(t, channel, 4, 30);
    await alice.mend();
    const again = await alice.journal.next('subscribed', { channel, nth: 2 });
    same([again.wasRecovering, again.recovered], [true, false], 'recovery');
    await publishDocuments(t, channel, 34, 3);
    const seen = await alice.received(channel, 6);
    same(seen.map(({ data }) => data), [...documents(1, 3), ...documents(34, 3)], 'data');
  },

  'deltas survive an unsubscribe and a return': async (t) => {
    const channel = t.channel('delta');
    const alice = await t.connect('alice');
    const subscription = await alice.subscribe(channel, { delta: 'fossil' });
    for (let round = 0; round < 3; round += 1) {
      await publishDocuments(t, channel, 1 + round * 10, 10);
      await alice.received(channel, 10 + round * 10);
      subscription.unsubscribe();
      subscription.subscribe();
      await alice.journal.next('subscribed', { channel, nth: 2 + round });
    }
    const seen = await alice.received(channel, 30);
    same(seen.map(({ data }) => data), documents(1, 30), 'data');
  },

  'publications of clients travel as deltas too': async (t) => {
    const channel = t.channel('delta');
    const [alice, bob] = await Promise.all([t.connect('alice'), t.connect('bob')]);
    await alice.subscribe(channel, { delta: 'fossil' });
    await bob.subscribe(channel);
    for (const document of documents(1, 5)) await bob.publish(channel, document);
    const seen = await alice.received(channel, 5);
    same(seen.map(({ data }) => data), documents(1, 5), 'data');
    equal(seen[4].info.user, bob.user, 'publisher');
  },

  'who asks for deltas where there are none is subscribed without': async (t) => {
    const channel = t.channel('stream');
    const alice = await t.connect('alice');
    await alice.subscribe(channel, { delta: 'fossil' });
    await publishDocuments(t, channel, 1, 3);
    const seen = await alice.received(channel, 3);
    same(seen.map(({ data }) => data), documents(1, 3), 'data');
  },
};

/** Payloads that share most with one another, with characters of several bytes that change within. */
function documents(from, count) {
  return Array.from({ length: count }, (_, index) => {
    const n = from + index;
    const text = `${'Вода поднимается. '.repeat(20)}${String.fromCodePoint(0x430 + (n % 32), 0x1f30a + (n % 60))}`;
    return { n, text, gauges: [n % 3, n % 5, n % 7] };
  });
}

async function publishDocuments(t, channel, from, count) {
  for (const data of documents(from, count)) await t.api('publish', { channel, data });
}
