import { scenario } from '../support/browser-scenario.mjs';

scenario('webtransport', 'protobuf');
