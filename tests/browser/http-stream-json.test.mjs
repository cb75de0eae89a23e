import { scenario } from '../support/browser-scenario.mjs';

scenario('http_stream', 'json');
