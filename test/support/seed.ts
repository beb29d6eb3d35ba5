/**
 * Preloaded into every test file: the seed of property tests. It is fixed, so that a red run is the fault of what was
 * changed; `npm test -- --seed random` and `npm run fuzz` look for what nobody has thought of.
 */
import fc from 'fast-check';

const DEFAULT_SEED = 20_261_121;

const given = process.env['SALLYPORT_TEST_SEED'];
// fast-check draws a seed of its own when there is none, and prints it when a property fails.
if (given !== 'random') fc.configureGlobal({ seed: given === undefined ? DEFAULT_SEED : Number(given) });
