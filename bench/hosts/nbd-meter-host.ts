/**
 * `nbd-meter-host.js INTERFACE SHELF SLOT SOCKET`: our data path with its NBD server in this thread, where it can be measured.
 * Says `serving` when clients may come, and after each client prints an NbdReport as a line of JSON. SIGTERM ends it.
 */
import { DataPathMeter, type DataPathCosts } from './data-path-meter.ts';
import { openVolume } from './open-volume.ts';

/** Of one client's connection, from its accept to its end. */
export interface NbdReport extends DataPathCosts {
  readonly requests: number;
}

const [networkInterface, shelf, slot, socketPath] = process.argv.slice(2);
const meter = new DataPathMeter();
const { loop, volume, wake } = openVolume(networkInterface, Number(shelf), Number(slot));
const listener = loop.front.add(volume, socketPath);
loop.front.listen(listener);
// A pipe takes it at once; Node's own loop never runs again.
console.log('serving');
wake();
for (;;) {
  while (listener.connections === 0) loop.turn();
  meter.begin(loop);
  const requestsBefore = volume.requestsDone;
  while (listener.connections > 0) loop.turn();
  const report: NbdReport = { ...meter.end(loop), requests: volume.requestsDone - requestsBefore };
  console.log(JSON.stringify(report));
}
