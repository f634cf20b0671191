/**
 * `nbd-host.js INTERFACE SHELF SLOT SOCKET`: our data path without its control service, for the bench. Attaches one target and
 * serves it at SOCKET by NBD; says `serving` when clients may come. SIGTERM ends it.
 */
import { CHUNKS_DEFAULT, DataPath } from '../../src/initiator/data-path.ts';

const [networkInterface, shelf, slot, socketPath] = process.argv.slice(2);

const dataPath = new DataPath(
  { interfaces: [networkInterface], chunks: CHUNKS_DEFAULT, lockMemory: false },
  {
    notice: (kind, target, text) => console.error(kind, target, text),
    failed: (error) => {
      console.error(error.message);
      process.exit(1);
    },
  },
);
const attach = {
  shelf: Number(shelf),
  slot: Number(slot),
  socketPath,
  readOnly: false,
  deadSeconds: 0,
  maxOutstanding: 128,
  interfaces: undefined,
};
await dataPath.execute({ op: 'attach', attach });
console.log('serving');
