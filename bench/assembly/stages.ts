// The engine whose head call stops after the stage that `seed` names, so that a benchmark can tell by differences what
// each stage costs, under the same memory, branches, inputs and host code as the whole call. Compiled with the engine's
// own flags, for the benchmark only; the order is that of `head` in assembly/index.ts.
import {
  GENERATION_WORDS,
  OUTCOME_OK,
  OUTCOME_REJECT,
  REASON_NONE,
  RESULT_OUTCOME,
  RESULT_ROUTE,
} from '../../assembly/abi';
import { reset } from '../../assembly/arena';
import { nextHost, startHosts } from '../../assembly/host';
import { head as whole } from '../../assembly/index';
import * as request from '../../assembly/request';
import { clearResult, setResult } from '../../assembly/result';
import { route, routeIndex } from '../../assembly/route';

export { body, open, response } from '../../assembly/index';

/** `stage`: 0 nothing, 1 head parsed, 2 app found and its settings applied, 3 routed, 4 the whole call. */
export function head(generation: usize, length: i32, fields: i32, hasBody: i32, stage: i32, now: i32): i32 {
  if (stage == 4) return whole(generation, length, fields, hasBody, 0, now);
  reset();
  clearResult();
  const done = upTo(stage, generation, length, fields);
  setResult(RESULT_OUTCOME, done ? OUTCOME_OK : OUTCOME_REJECT);
  return 0;
}

function upTo(stage: i32, generation: usize, length: i32, fields: i32): bool {
  if (stage == 0) return true;
  if (request.parseHead(length, fields) != REASON_NONE) return false;
  if (stage == 1) return true;
  if (!startHosts(load<u32>(generation), request.hostAt, request.hostLength)) return false;
  const app = nextHost();
  if (app < 0) return false;
  const image = <usize>load<u32>(generation + ((<usize>GENERATION_WORDS + <usize>app) << 2));
  if (request.applyPolicy(image) != REASON_NONE) return false;
  if (stage == 2) return true;
  const found = route(image);
  setResult(RESULT_ROUTE, routeIndex);
  return found;
}
