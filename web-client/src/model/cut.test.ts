import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { parseSettings } from '../net/settings';
import { FakeServer } from '../testing/fake-server';
import { Connection, type Surroundings } from './connection';
import { Cut } from './cut';
import { Room } from './room';

let server: FakeServer;
let connection: Connection;
let room: Room;
let cut: Cut;

beforeEach(async () => {
  server = new FakeServer();
  const around = {
    settings: parseSettings({ transports: { websocket: '/connection/websocket' } }),
    natives: { WebSocket: server.socketClass(), EventSource: class {}, fetch },
    page: new URL('http://localhost:8000/'),
    token: null,
  } as unknown as Surroundings;
  connection = new Connection(around);
  room = new Room(connection, 'demo');
  cut = new Cut(around, connection, room);
  connection.start(() => room.subscribe('demo'));
  await vi.waitFor(() => expect(room.phase).toBe('subscribed'));
});

afterEach(() => connection.stop());

test('a room tells who published', async () => {
  await room.publish('mine');
  server.publish('demo', { text: 'theirs' }, 'another');
  await vi.waitFor(() => expect(room.messages.length).toBe(2));
  expect(room.messages.map(({ text, author, offset }) => [text, author, offset])).toEqual([
    ['theirs', 'client', 2],
    ['mine', 'own', 1],
  ]);
  await vi.waitFor(() => expect(room.present).toBe(1));
});

test('what was missed is recovered, in order, and marked', async () => {
  server.publish('demo', { text: 'before' }, 'another');
  await cut.run(10);
  expect(cut.report).toMatchObject({ phase: 'done', published: 10, arrived: 10, recovered: true });
  server.publish('demo', { text: 'after' }, 'another');
  await vi.waitFor(() => expect(room.messages.length).toBe(12));
  expect(room.messages.map(({ offset }) => offset)).toEqual([12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
  expect(room.messages.filter(({ recovered }) => recovered).length).toBe(10);
  expect(room.messages[0]).toMatchObject({ text: 'after', recovered: false });
});

test('a gap is told, not hidden', async () => {
  server.publish('demo', { text: 'before' }, 'another');
  server.kept = 3;
  await cut.run(10);
  expect(cut.report).toMatchObject({ phase: 'done', published: 10, arrived: 0, recovered: false });
});
