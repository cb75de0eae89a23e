import { scenario } from '../support/browser-scenario.mjs';

scenario('sse', 'json');
