import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { AttachService } from '../../src/initiator/attach/attach-service.ts';
import type { AttachBackend, LastingDevices } from '../../src/initiator/attach/backend.ts';
import { Backends } from '../../src/initiator/attach/choice.ts';
import type { AttachmentReport, Command, Reply } from '../../src/initiator/messages.ts';
import { Quarantine } from '../../src/initiator/quarantine.ts';
import { SURVIVOR } from '../support/survivor.ts';

/** A detach that was left in the middle: whoever attaches next must not be given a device that is gone, or one without its volume. */

const never = new AbortController().signal;
const { shelf, slot } = SURVIVOR.volume.request;
const MESSAGE = { shelf, slot, backend: '', readOnly: false, deadSeconds: 0, maxOutstanding: 0, interfaces: [] };

/** One volume, whose I/O ends when the test says so. */
class OneVolume {
  state: 'none' | 'up' | 'detaching' = 'none';
  #ended: () => void = () => undefined;

  async execute(command: Command): Promise<Reply> {
    switch (command.op) {
      case 'attach':
        this.state = 'up';
        return { op: 'attached', attachment: this.#report };
      case 'detach':
        if (this.state === 'none') throw Object.assign(new Error('not attached'), { code: 'not-found' });
        if (command.force) this.state = 'none';
        else {
          this.state = 'detaching';
          await new Promise<void>((resolve) => {
            this.#ended = resolve;
          });
        }
        return { op: 'done' };
      case 'listInterfaces':
        return { op: 'interfaces', interfaces: [{ name: 'san0' }] } as unknown as Reply;
      default:
        return { op: 'attachments', attachments: this.state === 'none' ? [] : [this.#report] };
    }
  }

  /** What it still had to do has been done. */
  end(): void {
    this.state = 'none';
    this.#ended();
  }

  get #report(): AttachmentReport {
    return { ...SURVIVOR.volume, state: this.state } as unknown as AttachmentReport;
  }
}

function laboratory() {
  const dataPath = new OneVolume();
  const devices: string[] = [];
  const driver = { takeAway: async (): Promise<void> => Promise.resolve() };
  const quarantine = new Quarantine(join(mkdtempSync(join(tmpdir(), 'aoe-csi-detach-')), 'used'));
  quarantine.begin();
  const unused = async (): Promise<never> => Promise.reject(new Error('not to be called'));
  const backend: AttachBackend = {
    ...{ name: 'nbd', unavailable: async () => Promise.resolve(undefined), removeLeftovers: unused },
    attach: async () => Promise.resolve(`/dev/nbd${String(devices.push('made') - 1)}`),
    detach: async () => driver.takeAway(),
    lasting: { trouble: () => '', isLost: () => false, abandon: () => undefined } as Partial<LastingDevices> as LastingDevices,
  };
  const service = new AttachService({
    ...{ dataPath, backends: new Backends([backend]), defaultBackend: 'auto', quarantine },
    links: { set: () => undefined, remove: () => undefined },
    ...{ socketPath: (name) => `/run/x/${name}.sock`, notice: () => undefined },
  });
  return { dataPath, service, driver };
}

test.each(['waits for I/O to end', 'takes the device away'])(
  'a detach that is given up while it %s leaves no device that an attach would answer with',
  async (moment) => {
    const { dataPath, service, driver } = laboratory();
    expect((await service.attach(MESSAGE, never)).attachment.device).toBe('/dev/nbd0');
    const patience = new AbortController();
    if (moment === 'waits for I/O to end') setTimeout(() => patience.abort(), 20);
    else driver.takeAway = async () => Promise.resolve(patience.abort());
    await expect(service.detach({ shelf, slot, force: false }, patience.signal)).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    expect((await service.list()).map(({ device, backend }) => [device, backend])).toEqual([['', '']]);
    await expect(service.attach(MESSAGE, never)).rejects.toMatchObject({ code: 'ABORTED' });
    await expect(service.grow({ shelf, slot }, never)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    dataPath.end();
    expect(await service.list()).toEqual([]);
    expect((await service.attach(MESSAGE, never)).attachment.device).toBe('/dev/nbd1');
  },
);

test('a forced detach that could not take the device away leaves none that an attach would answer with', async () => {
  const { service, driver } = laboratory();
  await service.attach(MESSAGE, never);
  driver.takeAway = async () => Promise.reject(new Error('the driver does not return'));
  await expect(service.detach({ shelf, slot, force: true }, never)).rejects.toThrow('the driver does not return');
  await expect(service.attach(MESSAGE, never)).rejects.toMatchObject({
    code: 'ABORTED',
    message: expect.stringMatching(/^\/dev\/nbd0 of e10\.3 was left by a detach/),
  });
  driver.takeAway = async () => Promise.resolve();
  await service.detach({ shelf, slot, force: true }, never);
  expect((await service.attach(MESSAGE, never)).attachment.device).toBe('/dev/nbd1');
});
