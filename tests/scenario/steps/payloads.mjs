import { equal, same } from '../check.mjs';

const KIB = 1024;
const TEXTS = {
  cyrillic: 'Съешь же ещё этих мягких французских булок, да выпей чаю',
  emoji: '🌊🚪 👩‍👩‍👧‍👦 🏳️‍🌈 ✨ 𝕿𝖎𝖉𝖊',
  escapes: 'quote " backslash \\ slash / tab \t newline \n null \u0000 <b>&amp;</b> \u2028\u2029',
};

export const payloads = {
  'messages of 40 KB pass in both directions': async (t) => {
    const channel = t.channel('stream');
    const [alice, bob] = await Promise.all([t.connect('alice'), t.connect('bob')]);
    await alice.subscribe(channel);
    await bob.subscribe(channel);
    const text = letters(40 * KIB);
    await bob.publish(channel, { text });
    await t.api('publish', { channel, data: { text } });
    const seen = await alice.received(channel, 2);
    for (const { data } of seen) equal(data.text === text, true, 'text of 40 KB is intact');
    const page = await alice.history(channel, { limit: 10 });
    equal(page.publications.every(({ data }) => data.text === text), true, 'history is intact');
  },

  'a run of large messages keeps its order': async (t) => {
    const channel = t.channel('stream');
    const alice = await t.connect('alice');
    await alice.subscribe(channel);
    const text = letters(40 * KIB);
    for (let n = 1; n <= 20; n += 1) await t.api('publish', { channel, data: { n, text } });
    const seen = await alice.received(channel, 20);
    same(seen.map(({ data }) => data.n), Array.from({ length: 20 }, (_, index) => index + 1), 'order');
    equal(seen.every(({ data }) => data.text === text), true, 'texts are intact');
  },

  'Cyrillic, emoji and control characters pass in both directions': async (t) => {
    const channel = t.channel('stream');
    const [alice, bob] = await Promise.all([t.connect('alice'), t.connect('bob')]);
    await alice.subscribe(channel);
    await bob.subscribe(channel);
    await bob.publish(channel, TEXTS);
    await t.api('publish', { channel, data: TEXTS, tags: { город: 'Тверь 🏙️' } });
    const [fromClient, fromApi] = await alice.received(channel, 2);
    same(fromClient.data, TEXTS, 'data from a client');
    same(fromApi.data, TEXTS, 'data from the API');
    same(fromApi.tags, { город: 'Тверь 🏙️' }, 'tags');
  },

  'large texts outside ASCII are not torn apart': async (t) => {
    const channel = t.channel('stream');
    const alice = await t.connect('alice');
    await alice.subscribe(channel);
    const text = 'ж🌊я'.repeat(4 * KIB);
    await t.api('publish', { channel, data: { text } });
    await alice.publish(channel, { text });
    const seen = await alice.received(channel, 2);
    equal(seen.every(({ data }) => data.text === text), true, 'texts are intact');
  },

  'any JSON value is a payload': async (t) => {
    const channel = t.channel('stream');
    const alice = await t.connect('alice');
    await alice.subscribe(channel);
    const values = [0, -1.5, true, false, 'text', [], {}, [1, [2, { three: null }]], { empty: '' }];
    for (const data of values) await t.api('publish', { channel, data });
    const seen = await alice.received(channel, values.length);
    same(seen.map(({ data }) => data), values, 'values');
  },
};

/** Text that does not repeat in short cycles, so that a lost or doubled piece shows. */
function letters(length) {
  let state = 1;
  let text = '';
  while (text.length < length) {
    state = (state * 48271) % 2147483647;
    text += state.toString(36);
  }
  return text.slice(0, length);
}
