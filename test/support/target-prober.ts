import { createInterface } from 'node:readline';
import { FramePort, runPorts } from './faults-frame-port.ts';

/**
 * A bare initiator's hands: sends each line of its input, a frame in hex, on one interface, and prints every frame that comes
 * in there. Started in a network namespace: `node target-prober.js <interface>`. Begins with the interface's MAC.
 */
const port = new FramePort(process.argv[2]);
createInterface({ input: process.stdin }).on('line', (line) => port.send(Buffer.from(line, 'hex')));
process.stdout.write(`${port.mac.toString('hex')}\n`);
runPorts([port], () => port.receive((frame) => process.stdout.write(`${frame.toString('hex')}\n`)));
