import { expect, test } from '@jest/globals';
import { Logger } from '../../src/logging/logger.ts';
import type { NodeParts } from '../../src/node/node-parts.ts';
import { Places } from '../../src/node/places.ts';
import { Reporter } from '../../src/node/reporter.ts';

test('refresh() asks that target again, and waits for no other', async () => {
  const target = { state: 'discovered', sectors: 8, configString: new Uint8Array(), paths: [{ interface: 'eth1' }], silentMs: 0 };
  const targets = ['e1.0', 'e1.1', 'e1.2'].map((name, slot) => ({ ...target, name, shelf: 1, slot }));
  let [asked, configString]: [string[], string] = [[], ''];
  const reports: unknown[] = [];
  const parts = {
    initiator: {
      interfaces: async () => Promise.resolve([]),
      attachments: async () => Promise.resolve([]),
      targets: async () => Promise.resolve(targets),
      configString: async (address: string) => {
        asked.push(address);
        return Promise.resolve({ texts: [configString] });
      },
      reserved: async () => Promise.resolve({ error: 0, silent: 0 }),
    },
    recorder: {
      staged: {},
      report: async (view: unknown) => Promise.resolve(void reports.push(view)),
      markFenced: async () => Promise.resolve(),
    },
  };
  const reporter = new Reporter(parts as unknown as NodeParts, new Places('aoe.csi.dev', {}, {}), Logger.create('silent'));
  configString = 'ours';
  await reporter.refresh('e1.1');
  expect(asked).toEqual(['e1.1']);
  [asked, configString] = [[], ''];
  await reporter.refresh('e1.1');
  expect(asked).toEqual(['e1.1']);
  expect(reports).toMatchObject(
    ['ours', ''].map((text) => ({ targets: { 'e1.0': {}, 'e1.1': { configString: text }, 'e1.2': {} } })),
  );
});
