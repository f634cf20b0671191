import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Revival } from '../../src/initiator/attach/revival.ts';
import type { LastingDevices } from '../../src/initiator/attach/backend.ts';
import { DataPath, type DataPathEvents } from '../../src/initiator/data-path.ts';
import { EAGAIN } from '../../src/system/errno.ts';
import { EventFd } from '../../src/system/eventfd.ts';
import { eventually } from '../support/faults-process.ts';
import { SURVIVOR } from '../support/survivor.ts';

/** The data path as its owner sees it, with its real thread: when the machine has nothing left, and how it ends. */

const LIST = { op: 'listTargets' } as const;

let failure: Error | undefined;
let notices: string[];
let dataPath: DataPath;
let isStopped: boolean;

beforeEach(() => {
  failure = undefined;
  notices = [];
  isStopped = false;
  const failed = (error: Error): void => void (failure = error);
  const events: DataPathEvents = { notice: (_kind, _target, text) => void notices.push(text), failed };
  dataPath = new DataPath({ interfaces: [], chunks: 64, lockMemory: false }, events);
});

afterEach(async () => {
  if (!isStopped) await stop();
  expect(failure).toBeUndefined();
});

async function stop(): Promise<void> {
  isStopped = true;
  await dataPath.stop();
}

/** Those that were the data path's are among them: the kernel gives the lowest free ones. */
function takeFreeDescriptors(): EventFd[] {
  return Array.from({ length: 32 }, () => EventFd.create());
}

test('execute() is refused after stop(), and leaves the descriptor alone that was its own', async () => {
  expect(await dataPath.execute(LIST)).toMatchObject({ op: 'targets' });
  await stop();
  const others = takeFreeDescriptors();
  await expect(dataPath.execute(LIST)).rejects.toMatchObject({ name: 'DataPathError', code: 'unavailable' });
  expect(others.map((each) => each.drain())).toEqual(others.map(() => -EAGAIN));
  for (const each of others) each.close();
});

test('stop() fails what is still under way, and a revival that has been stopped asks for nothing more', async () => {
  const told: string[] = [];
  const revival = new Revival(dataPath, (_kind, _target, text) => told.push(text));
  revival.begin(SURVIVOR, {} as LastingDevices);
  await dataPath.execute(LIST);
  revival.stop();
  await stop();
  await sleep(0);
  expect([told, revival.trouble('e10.3')]).toEqual([[], '']);
});

test('interfaces that can not be listed now are asked for again, and those that are known are used meanwhile', async () => {
  await dataPath.execute(LIST);
  const answer = await withoutDescriptors(async () => dataPath.execute({ op: 'setInterfaces', patterns: ['lo'] }));
  expect(answer).toMatchObject({ op: 'interfaces', interfaces: [{ name: 'lo', state: 'refused' }] });
  expect(notices.filter((text) => text.includes('cannot list the network interfaces: socket: EMFILE'))).toHaveLength(1);
  await eventually('the interfaces to be listed', 10_000, () => notices.includes('the network interfaces can be listed again'));
});

/** Does something while this process, all of its threads, can open nothing more. */
async function withoutDescriptors<T>(work: () => Promise<T>): Promise<T> {
  const before = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? '';
  const limit = (soft: string): void => void execFileSync('prlimit', ['--pid', String(process.pid), `--nofile=${soft}:`]);
  const taken: number[] = [];
  limit('512');
  try {
    expect(() => {
      for (;;) taken.push(openSync('/dev/null', 'r'));
    }).toThrow('EMFILE');
    return await work();
  } finally {
    for (const fd of taken) closeSync(fd);
    limit(before);
  }
}
