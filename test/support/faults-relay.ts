import { createInterface } from 'node:readline';
import { Faults } from '../../src/target/faults.ts';
import { nowUs } from '../../src/time/clock.ts';
import { FramePort, runPorts } from './faults-frame-port.ts';
import type { RelayFaults } from './faults-relay-client.ts';

/**
 * A wire with two ends and a will of its own: forwards AoE frames between two interfaces and loses, doubles, delays and reorders
 * them on the way. Arguments: the interfaces, and the faults as JSON; every line of input is a new set of faults.
 */
interface Travelling {
  readonly dueUs: number;
  readonly to: number;
  readonly frame: Buffer;
}

const [left, right, firstFaults] = process.argv.slice(2);
const ports = [new FramePort(left), new FramePort(right)];
const travelling: Travelling[] = [];
let settings: RelayFaults;
let faults: Faults;

function set(line: string): void {
  settings = JSON.parse(line) as RelayFaults;
  faults = new Faults(settings);
  process.stdout.write('set\n');
}

function arrive(from: number, frame: Buffer): void {
  if (settings.cut === 'both' || settings.cut === (from === 0 ? 'from left' : 'from right')) return;
  if (faults.loses(frame.length)) return;
  const to = 1 - from;
  // Copies follow each other back to back, as where a switch doubles frames.
  const dueUs = faults.dueUs(nowUs(), false);
  for (let copies = faults.duplicates() ? 2 : 1; copies > 0; copies--) {
    if (faults.holds) travelling.push({ dueUs, to, frame: Buffer.from(frame) });
    else ports[to].send(frame);
  }
}

set(firstFaults);
const input = createInterface({ input: process.stdin });
input.on('line', set);
input.on('close', () => process.exit());
runPorts(ports, () => {
  ports.forEach((port, from) => port.receive((frame) => arrive(from, frame)));
  if (travelling.length === 0) return;
  travelling.sort((a, b) => a.dueUs - b.dueUs);
  const now = nowUs();
  while (travelling.length > 0 && travelling[0].dueUs <= now) {
    const due = travelling.shift();
    if (due !== undefined) ports[due.to].send(due.frame);
  }
});
