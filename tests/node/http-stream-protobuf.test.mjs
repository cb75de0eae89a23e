import { scenario } from '../support/node-scenario.mjs';

scenario('http_stream', 'protobuf');
