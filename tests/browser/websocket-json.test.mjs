import { scenario } from '../support/browser-scenario.mjs';

scenario('websocket', 'json');
