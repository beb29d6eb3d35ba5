/**
 * Preloaded into a process of a test (`NODE_OPTIONS=--import=...`): its wall clock is SALLYPORT_TEST_CLOCK ms ahead, and
 * SIGUSR2 makes it jump on by SALLYPORT_TEST_JUMP ms. The monotonic clock goes on as it was, as on a real machine.
 */
const now = Date.now;
let ahead = Number(process.env.SALLYPORT_TEST_CLOCK ?? 0);
const jump = Number(process.env.SALLYPORT_TEST_JUMP ?? 0);
const Real = Date;
globalThis.Date = class extends Real {
  constructor(...words) {
    super(...(words.length === 0 ? [now() + ahead] : words));
  }
  static now() {
    return now() + ahead;
  }
};
if (jump !== 0) process.on('SIGUSR2', () => (ahead += jump));
