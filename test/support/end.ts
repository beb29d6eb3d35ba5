/** Preloaded into every test file: none hangs in the clean-up of Node when its tests are over. */
import { endAtExit } from '../../src/cli/end.ts';

endAtExit();
