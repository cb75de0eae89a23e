import { expect, test } from 'vitest';

import { pack, unpack } from './sdk';

test('JSON clients exchange values', () => {
  expect(unpack(pack('json', { text: 'прилив 🌊' }))).toEqual({ text: 'прилив 🌊' });
});

test('Protobuf clients exchange bytes of JSON text', () => {
  const packed = pack('protobuf', { text: 'прилив 🌊' });
  expect(packed).toBeInstanceOf(Uint8Array);
  expect(unpack(packed)).toEqual({ text: 'прилив 🌊' });
});

test('bytes that are not JSON are text', () => {
  expect(unpack(new TextEncoder().encode('not json'))).toBe('not json');
});
