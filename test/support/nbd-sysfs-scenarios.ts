import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KernelConnections } from '../../src/initiator/attach/kernel-connections.ts';
import { NbdCalls } from '../../src/initiator/attach/nbd-calls.ts';
import { NbdDevice } from '../../src/initiator/attach/nbd-device.ts';
import { NbdLink } from '../../src/initiator/attach/nbd-link.ts';
import { NbdQueues } from '../../src/initiator/attach/nbd-queues.ts';
import { readNbdRecords, writeNbdRecord, type NbdRecord } from '../../src/initiator/attach/nbd-record.ts';
import { NbdBackend } from '../../src/initiator/attach/nbd.ts';
import { bootId } from '../../src/system/boot-id.ts';
import { waitUntil } from '../../src/system/waiting.ts';

/**
 * What the initiator makes of a sysfs that is the test's own: a folder mounted over /sys/block, for this process alone. Each scenario
 * prints what it saw as JSON.
 */
const SCENARIOS: Readonly<Record<string, () => Promise<unknown>>> = { unreadable, replaced, grown };

const DEVICE = '/sys/block/nbd0';
const BACKEND = join(DEVICE, 'backend');
const LONG_MS = 30_000;
const RECORD: NbdRecord = {
  ...{
    name: 'e10.3',
    sectors: 2_048,
    serial: 's',
    model: 'm',
    blockBytes: 512,
    identifier: 'aoe-csi/e10.3/00',
    bootId: bootId(),
  },
  request: {
    ...{ shelf: 10, slot: 3, socketPath: '/run/x/e10.3.sock', readOnly: false, deadSeconds: 0, maxOutstanding: 128 },
    interfaces: undefined,
  },
};

const calls = new NbdCalls({ alarm: () => undefined });
/** No data path: a link that would offer a socket says so. */
const connections = new KernelConnections({ execute: async () => Promise.reject(new Error('offers a socket')) });

/** A file that can't be read, although it is there, has come in the place of the device's identifier. */
async function unreadable(): Promise<unknown> {
  mkdirSync(BACKEND, { recursive: true });
  const folder = mkdtempSync(join(tmpdir(), 'aoe-csi-records-'));
  await writeNbdRecord(folder, RECORD);
  const removal = await codeOf(new NbdBackend(folder, () => undefined).removeLeftovers());
  const records = readNbdRecords(folder).records.length;
  rmSync(folder, { recursive: true });

  const { name, identifier } = RECORD;
  const link = new NbdLink({ name, index: 0, identifier, connections, calls, notice: () => undefined });
  void link.reconnect('a test');
  await waitUntil(() => link.trouble.includes("backend can't be read"), LONG_MS);
  const whileUnreadable = [link.isLost, link.trouble];
  rmSync(BACKEND, { recursive: true });
  writeFileSync(BACKEND, `${identifier}\n`);
  await waitUntil(() => link.isLost || link.trouble.endsWith('offers a socket'), LONG_MS);
  const readable = [link.isLost, link.trouble];
  rmSync(BACKEND);
  await waitUntil(() => link.isLost, LONG_MS);
  return { removal, records, whileUnreadable, readable, gone: link.isLost };
}

/** Between the last look at the device and the call that ends it, somebody has taken its index. */
async function replaced(): Promise<unknown> {
  mkdirSync(DEVICE);
  writeFileSync(BACKEND, 'another\n');
  const outcome = await codeOf(calls.run({ op: 'disconnect', index: 0, identifier: RECORD.identifier }));
  calls.stop();
  return outcome;
}

/** A device that has all of its volume already, set as it should be, and then as one that grows just now. */
async function grown(): Promise<unknown> {
  mkdirSync(join(DEVICE, 'queue'), { recursive: true });
  writeFileSync(join(DEVICE, 'size'), '4096\n');
  const setTimeoutMs = (ms: number): void => writeFileSync(join(DEVICE, 'queue/io_timeout'), `${ms}\n`);
  const stub = new NbdCalls({ alarm: () => undefined, thread: new URL('./nbd-slow-thread.js', import.meta.url) });
  const device = new NbdDevice(RECORD, 0, { connections, calls: stub, queues: new NbdQueues(), notice: () => undefined });
  setTimeoutMs(10_000);
  // Nothing but RECONFIGURE is refused there: it was tried to set it as it should be.
  const again = await device.grow(4_096).catch(({ errno }: { errno?: string }) => errno);
  const before = device.record.sectors;
  setTimeoutMs(1_000);
  await device.grow(4_096);
  stub.stop();
  return { again, before, after: device.record.sectors };
}

async function codeOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => 'done',
    (error: unknown) => (error as { code?: string }).code,
  );
}

process.stdout.write(JSON.stringify(await SCENARIOS[process.argv[2] ?? '']?.()));
