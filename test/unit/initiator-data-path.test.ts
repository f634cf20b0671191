import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Revival } from '../../src/initiator/attach/revival.ts';
import type { LastingDevices, Survivor } from '../../src/initiator/attach/backend.ts';
import { DataPath, type DataPathEvents } from '../../src/initiator/data-path.ts';
import { EAGAIN } from '../../src/system/errno.ts';
import { EventFd } from '../../src/system/eventfd.ts';

/** The data path as its owner sees it, with its real thread: how it ends, and what is asked of it afterwards. */

const LIST = { op: 'listTargets' } as const;
const SURVIVOR: Survivor = {
  volume: {
    ...{ name: 'e10.3', sectors: 2_048, serial: 's', model: 'm' },
    request: {
      ...{ shelf: 10, slot: 3, socketPath: '/run/x/e10.3.sock', readOnly: false, deadSeconds: 0, maxOutstanding: 128 },
      interfaces: undefined,
    },
  },
  device: '/dev/nbd0',
};

let failure: Error | undefined;
let dataPath: DataPath;

beforeEach(() => {
  failure = undefined;
  const failed = (error: Error): void => void (failure = error);
  const events: DataPathEvents = { notice: () => undefined, failed };
  dataPath = new DataPath({ interfaces: [], chunks: 64, lockMemory: false }, events);
});

afterEach(() => expect(failure).toBeUndefined());

/** Those that were the data path's are among them: the kernel gives the lowest free ones. */
function takeFreeDescriptors(): EventFd[] {
  return Array.from({ length: 32 }, () => EventFd.create());
}

test('execute() is refused after stop(), and leaves the descriptor alone that was its own', async () => {
  expect(await dataPath.execute(LIST)).toMatchObject({ op: 'targets' });
  await dataPath.stop();
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
  await dataPath.stop();
  await sleep(0);
  expect([told, revival.trouble('e10.3')]).toEqual([[], '']);
});
