import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The program under test: as tsc has emitted it, unless AOE_CSI_TEST_PROGRAM names another, e.g. dist/app/main.js of `npm run bundle`. */
export const MAIN = resolve(process.env['AOE_CSI_TEST_PROGRAM'] ?? fileURLToPath(new URL('../../src/main.js', import.meta.url)));
