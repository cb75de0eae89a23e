import { scenario } from '../support/node-scenario.mjs';

scenario('websocket', 'json');
