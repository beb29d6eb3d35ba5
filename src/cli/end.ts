/**
 * The end of a process that has nothing left to do. Node 24.21 may turn there for ever, at full speed: its clean-up waits
 * for a request that libuv has dropped with its handle (seen once after sockets had closed while bytes waited, with no
 * handle and no request left in the loop). `process.exit` does not clean up; everything has been closed by then.
 */
export function endAtExit(): void {
  // Registered when the loop is empty, so behind all who have something to do at the exit.
  process.once('beforeExit', () => process.once('exit', (code) => process.exit(code)));
}
