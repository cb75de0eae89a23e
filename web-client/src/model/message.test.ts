import { expect, test } from 'vitest';

import { messageOf, readMissed, textOf } from './message';

const arrival = { key: 1, offset: 7, ownId: 'me', recovered: false, missed: null, at: 0, data: { text: 'hello' } };

test.each([
  ['me', 'own'],
  ['somebody', 'client'],
  [null, 'api'],
])('a publication of %s is by: %s', (publisher, author) => {
  expect(messageOf({ ...arrival, publisher })).toMatchObject({ text: 'hello', author, offset: 7 });
});

test.each([
  [{ text: 'hello' }, 'hello'],
  ['plain', 'plain'],
  [{ n: 1 }, '{"n":1}'],
  [[1, null], '[1,null]'],
  [null, 'null'],
  [undefined, ''],
])('%j reads %s', (data, text) => {
  expect(textOf(data)).toBe(text);
});

test('the mark of an experiment is read where there is one', () => {
  expect(readMissed({ missed: 'abc' })).toBe('abc');
  expect(readMissed({ missed: 7 })).toBeNull();
  expect(readMissed('missed')).toBeNull();
});
