/** `./images.js` is given by the surroundings (see src/platform/bindings.ts), not by this repository. */
import type { Bundle } from '../platform/bindings.ts';
declare const bundle: Bundle;
export default bundle;
