// What a browser has and Node 20 has not.

import { EventSource } from 'eventsource';
import { WebSocket } from 'ws';

globalThis.WebSocket ??= WebSocket;
globalThis.EventSource ??= EventSource;
