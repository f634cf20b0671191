import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { AttachService } from '../../src/initiator/attach/attach-service.ts';
import type { AttachBackend, LastingDevices } from '../../src/initiator/attach/backend.ts';
import { Backends } from '../../src/initiator/attach/choice.ts';
import type { AttachmentReport, Command, Reply } from '../../src/initiator/messages.ts';
import { Quarantine } from '../../src/initiator/quarantine.ts';
import { SURVIVOR } from '../support/survivor.ts';

/** Survivors of an earlier initiator, with a data path and a backend that do what the tests want at the moment they want it. */

/** Longer than a revival waits before it tries again. */
const RETRIED_MS = 5_500;
const never = new AbortController().signal;

/** One volume. While its target is silent, an attach waits until it is detached. */
class OneVolume {
  isAttached = false;
  isSilent = true;
  /** Of what is attached. */
  state = 'up';
  readonly commands: Command[] = [];
  #fail: () => void = () => undefined;

  async execute(command: Command): Promise<Reply> {
    this.commands.push(command);
    switch (command.op) {
      case 'attach':
        this.isAttached = true;
        if (!this.isSilent)
          return { op: 'attached', attachment: { ...SURVIVOR.volume, state: this.state } as unknown as AttachmentReport };
        return new Promise((_, reject) => {
          this.#fail = () => reject(new Error('its target does not answer'));
        });
      case 'detach':
        if (!this.isAttached) throw Object.assign(new Error('not attached'), { code: 'not-found' });
        this.isAttached = false;
        this.#fail();
        return { op: 'done' };
      default:
        return { op: 'attachments', attachments: [] };
    }
  }
}

function serviceOf(
  dataPath: OneVolume,
  detach: AttachBackend['detach'],
  resume: LastingDevices['resume'] = () => undefined,
): AttachService {
  const lasting = {
    survivors: () => [SURVIVOR],
    trouble: () => '',
    isLost: () => false,
    abandon: () => undefined,
    resume,
  } as Partial<LastingDevices>;
  const unused = async (): Promise<never> => Promise.reject(new Error('not to be called'));
  const backend: AttachBackend = {
    ...{ name: 'nbd', unavailable: async () => Promise.resolve(undefined), attach: unused, removeLeftovers: unused, detach },
    lasting: lasting as LastingDevices,
  };
  return new AttachService({
    ...{ dataPath, backends: new Backends([backend]), defaultBackend: 'auto', quarantine: new Quarantine('/nonexistent/mark') },
    links: { set: () => undefined, remove: () => undefined },
    ...{ socketPath: (name) => `/run/x/${name}.sock`, notice: () => undefined },
  });
}

test('detach() with force ends a revival, which else would attach the volume again while its device is taken away', async () => {
  const dataPath = new OneVolume();
  const service = serviceOf(dataPath, async () => {
    dataPath.isSilent = false;
    await sleep(RETRIED_MS);
  });
  service.takeUpSurvivors();
  expect(dataPath.isAttached).toBe(true);
  await service.detach({ shelf: 10, slot: 3, force: true }, never);
  expect([dataPath.isAttached, await service.list()]).toEqual([false, []]);
});

test('detach() that is refused leaves the revival alone', async () => {
  const dataPath = new OneVolume();
  const service = serviceOf(dataPath, async () => Promise.reject(new Error('in use')));
  service.takeUpSurvivors();
  await expect(service.detach({ shelf: 10, slot: 3, force: false }, never)).rejects.toThrow('in use');
  expect(dataPath.isAttached).toBe(true);
  service.stop();
});

test.each([
  ['up', true],
  ['fenced', true],
  ['down', false],
  ['mismatch', false],
])('a volume is looked for as the disk that it was, and one that is %s then is settled: %s', async (state, settled) => {
  const dataPath = new OneVolume();
  Object.assign(dataPath, { isSilent: false, state });
  const { promise, resolve } = Promise.withResolvers<boolean>();
  serviceOf(
    dataPath,
    async () => Promise.resolve(),
    (_survivor, isSettled) => resolve(isSettled),
  ).takeUpSurvivors();
  expect(await promise).toBe(settled);
  const { request: attach, serial, model, sectors } = SURVIVOR.volume;
  expect(dataPath.commands).toEqual([{ op: 'attach', attach, resumed: { serial, model, sectors } }]);
});
