// What a body processor found wrong: REQBODY_ERROR and its message. The first error stands. ModSecurity stops reading at it;
// we go on wherever there is a way to, since rules may not refuse the request for the error alone, and what comes after it
// must not be lost to them. Where there is none, REQUEST_BODY is there for them.

export let malformed: bool = false;
export let messageLength: i32 = 0;
const MESSAGE_BYTES: i32 = 128;
const MESSAGE = memory.data(128);

export function startMalformed(): void {
  malformed = false;
  messageLength = 0;
}

export function messageAt(): usize {
  return MESSAGE;
}

/** Records an error; `message` is a literal of ASCII. */
export function setMalformed(message: string): void {
  if (malformed) return;
  malformed = true;
  messageLength = min(message.length, MESSAGE_BYTES);
  for (let i = 0; i < messageLength; i++) store<u8>(MESSAGE + <usize>i, <u8>message.charCodeAt(i));
}
