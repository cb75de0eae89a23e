import { scenario } from '../support/node-scenario.mjs';

scenario('sse', 'json');
