// Request bodies: which processor reads one, and what is left when it can't. Semantics are ModSecurity 2.9's; where we look
// at more than it does, a comment says so.
import {
  PROCESSOR_JSON,
  PROCESSOR_MULTIPART,
  PROCESSOR_NONE,
  PROCESSOR_SNIFF,
  PROCESSOR_URLENCODED,
  PROCESSOR_XML,
  VARIABLE_ARGS_GET,
  VARIABLE_ARGS_POST,
  VARIABLE_REQBODY_ERROR,
  VARIABLE_REQBODY_ERROR_MSG,
  VARIABLE_REQBODY_PROCESSOR,
  VARIABLE_REQBODY_PROCESSOR_ERROR,
  VARIABLE_REQUEST_BODY,
  VARIABLE_REQUEST_BODY_LENGTH,
  VARIABLE_URLENCODED_ERROR,
} from '../abi';
import { setNumber, setText } from '../collections';
import { begins } from '../name';
import { setCombinedSize, startArguments } from './argument';
import { malformed, messageAt, messageLength, startMalformed } from './malformed';
import { setMultipartVariables, parseMultipart, startMultipart } from './multipart';
import { parseJson } from './json';
import { parseSniffed, sniffed } from './sniff';
import { parseUrlencoded, startUrlencoded, urlencodedError } from './urlencoded';
import { parseXml } from './xml';

const NAMES = memory.data<u8>([
  0x55, 0x52, 0x4c, 0x45, 0x4e, 0x43, 0x4f, 0x44, 0x45, 0x44, // URLENCODED
  0x4d, 0x55, 0x4c, 0x54, 0x49, 0x50, 0x41, 0x52, 0x54, // MULTIPART
  0x58, 0x4d, 0x4c, 0x4a, 0x53, 0x4f, 0x4e, // XML, JSON
]);

/** Forgets what earlier calls read; first thing in a call, after startCollections. */
export function startBody(): void {
  startArguments();
  startUrlencoded();
  startMalformed();
  startMultipart();
}

/** Adds the arguments of the query string, without its `?`. False when a limit is reached: stop. */
export function parseQuery(at: usize, length: i32): bool {
  return parseUrlencoded(at, length, VARIABLE_ARGS_GET) && setCombinedSize() && setNumber(VARIABLE_URLENCODED_ERROR, i32(urlencodedError));
}

/**
 * The processor that a Content-Type asks for by itself. ModSecurity knows the first two; JSON and XML are the rules 200000
 * and 200001 of its recommended configuration, which every installation has and no rule set brings along, here with the
 * suffixes of RFC 6839. ctl:requestBodyProcessor overrides it.
 */
export function processorOf(at: usize, length: i32): i32 {
  for (; length > 0 && (load<u8>(at) == 0x20 || load<u8>(at) == 0x09); length--) at++;
  if (begins(at, length, 'application/x-www-form-urlencoded')) return PROCESSOR_URLENCODED;
  if (begins(at, length, 'multipart/form-data')) return PROCESSOR_MULTIPART;
  if (begins(at, length, 'application/json') || begins(at, length, 'text/json')) return PROCESSOR_JSON;
  if (begins(at, length, 'application/xml') || begins(at, length, 'text/xml')) return PROCESSOR_XML;
  if (!begins(at, length, 'application/')) return PROCESSOR_NONE;
  for (let i = 12; i < length; i++) {
    const byte = load<u8>(at + <usize>i);
    if (byte == 0x3b || byte <= 0x20 || byte == 0x2c) break;
    if (byte != 0x2b) continue;
    const rest = at + <usize>i;
    if (suffix(rest, length - i, '+json')) return PROCESSOR_JSON;
    if (suffix(rest, length - i, '+xml')) return PROCESSOR_XML;
  }
  return PROCESSOR_NONE;
}

/** True when `text` is at `at`, and nothing of the type comes after it. */
function suffix(at: usize, length: i32, text: string): bool {
  if (!begins(at, length, text)) return false;
  if (length == text.length) return true;
  const byte = load<u8>(at + <usize>text.length);
  return byte == 0x3b || byte <= 0x20 || byte == 0x2c;
}

/** Sets REQBODY_PROCESSOR; as soon as the processor is known, and when it changes. */
export function setProcessor(processor: i32): bool {
  if (processor == PROCESSOR_URLENCODED) return setText(VARIABLE_REQBODY_PROCESSOR, NAMES, 10);
  if (processor == PROCESSOR_MULTIPART) return setText(VARIABLE_REQBODY_PROCESSOR, NAMES + 10, 9);
  if (processor == PROCESSOR_XML) return setText(VARIABLE_REQBODY_PROCESSOR, NAMES + 19, 3);
  if (processor == PROCESSOR_JSON) return setText(VARIABLE_REQBODY_PROCESSOR, NAMES + 22, 4);
  return setText(VARIABLE_REQBODY_PROCESSOR, NAMES, 0);
}

/**
 * Reads the body in [at, at + length) and fills every variable that it has a part in. `size` is the length of the body as
 * it came, `whole` false when the window is only the first part of it: that it ends abruptly is then no error. `force` is
 * ctl:forceRequestBodyVariable. False when a limit is reached: the call ends as `limit`; what was found by then is there.
 */
export function processBody(
  processor: i32,
  at: usize,
  length: i32,
  size: i32,
  whole: bool,
  force: bool,
  contentTypeAt: usize,
  contentTypeLength: i32,
): bool {
  let complete = true;
  if (processor == PROCESSOR_URLENCODED) complete = parseUrlencoded(at, length, VARIABLE_ARGS_POST);
  else if (processor == PROCESSOR_MULTIPART) complete = parseMultipart(at, length, whole, contentTypeAt, contentTypeLength);
  else if (processor == PROCESSOR_JSON) complete = parseJson(at, length, whole);
  else if (processor == PROCESSOR_XML) complete = parseXml(at, length, whole);
  else if (processor == PROCESSOR_SNIFF) {
    complete = parseSniffed(at, length, whole, contentTypeAt, contentTypeLength);
    if (!setProcessor(sniffed)) return false;
  }
  // ModSecurity has REQUEST_BODY of forms, and of bodies without a processor or with an error where it is forced. We have
  // it of every body with an error: rules still see the bytes when they are not what their type says.
  const untyped = processor == PROCESSOR_SNIFF || (force && processor == PROCESSOR_NONE);
  const raw = processor == PROCESSOR_URLENCODED || malformed || !complete || untyped;
  if (raw && !setText(VARIABLE_REQUEST_BODY, at, length)) return false;
  const error = i32(malformed);
  return (
    setNumber(VARIABLE_REQUEST_BODY_LENGTH, size) &&
    setCombinedSize() &&
    setNumber(VARIABLE_URLENCODED_ERROR, i32(urlencodedError)) &&
    setNumber(VARIABLE_REQBODY_ERROR, error) &&
    setNumber(VARIABLE_REQBODY_PROCESSOR_ERROR, error) &&
    setText(VARIABLE_REQBODY_ERROR_MSG, messageAt(), messageLength) &&
    setMultipartVariables() &&
    complete
  );
}
