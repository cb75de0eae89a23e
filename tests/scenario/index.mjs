// The one scenario that every transport goes through, in Node and in Chromium: a list of named steps.

import { Env, jsonCodec, protobufCodec } from './env.mjs';
import { bursts } from './steps/bursts.mjs';
import { compaction } from './steps/compaction.mjs';
import { connection } from './steps/connection.mjs';
import { delta } from './steps/delta.mjs';
import { filters } from './steps/filters.mjs';
import { history } from './steps/history.mjs';
import { payloads } from './steps/payloads.mjs';
import { permissions } from './steps/permissions.mjs';
import { presence } from './steps/presence.mjs';
import { publications } from './steps/publications.mjs';
import { recovery } from './steps/recovery.mjs';
import { serverSide } from './steps/server-side.mjs';
import { state } from './steps/state.mjs';
import { tokens } from './steps/tokens.mjs';

const steps = {
  ...connection,
  ...publications,
  ...presence,
  ...history,
  ...recovery,
  ...state,
  ...delta,
  ...filters,
  ...serverSide,
  ...permissions,
  ...tokens,
  ...payloads,
  ...bursts,
  ...compaction,
};

export const stepNames = Object.keys(steps);

/** Runs one step with clients of its own. `setup` is described at `Env`; the codec follows from the protocol. */
export async function runStep(name, setup) {
  const codec = setup.transport.protocol === 'protobuf' ? protobufCodec : jsonCodec;
  const id = Math.random().toString(36).slice(2, 10);
  const env = new Env({ ...setup, codec }, id);
  try {
    await steps[name](env);
  } finally {
    env.close();
  }
}
