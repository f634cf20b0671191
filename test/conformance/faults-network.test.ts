import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { fioVerifyFor } from '../support/faults-clients.ts';
import { Laboratory, SAN, SAN_MAC, TARGET, TARGET_MAC, type VbladeOptions } from '../support/faults-laboratory.ts';
import type { InitiatorClient } from '../support/faults-initiator-client.ts';
import type { RelayClient, RelayFaults } from '../support/faults-relay-client.ts';
import { command, describeIf, root } from '../support/requires.ts';

interface BadNetwork {
  readonly lab: Laboratory;
  readonly relay: RelayClient;
  readonly initiator: InitiatorClient;
}

/** Debian's target behind a network that can be made bad, with e10.3 attached while it was still good. */
async function behindRelay(run: (network: BadNetwork) => Promise<void>, vblade: VbladeOptions = {}, mtu = 1500): Promise<void> {
  const lab = new Laboratory();
  try {
    const middle = lab.host('middle');
    lab.wire(mtu, { host: lab.initiator, name: SAN, mac: SAN_MAC }, { host: middle, name: 'left' });
    lab.wire(mtu, { host: lab.target, name: TARGET, mac: TARGET_MAC }, { host: middle, name: 'right' });
    const relay = await lab.relay(middle, 'left', 'right');
    await lab.vblade('e10.3', lab.disk(), vblade);
    const initiator = lab.initiate(SAN);
    await initiator.attachNow('e10.3');
    await run({ lab, relay, initiator });
  } finally {
    await lab.close();
  }
}

interface Weather {
  readonly faults: RelayFaults;
  readonly mtu?: number;
  /** Requests that must have been verified in 4 s for the test to say anything. */
  readonly writesMin: number;
  /** What must have happened, as a share of the frames sent. */
  readonly resentMin?: number;
  readonly resentMax?: number;
}

const WEATHERS: Readonly<Record<string, Weather>> = {
  'loses 1 % of all frames': { faults: { loss: 0.01 }, writesMin: 20, resentMin: 0.01, resentMax: 0.15 },
  'loses 10 % of all frames': { faults: { loss: 0.1 }, writesMin: 10, resentMin: 0.1 },
  'loses 3 % of all large frames': { faults: { loss: 0.03 }, mtu: 9000, writesMin: 20, resentMin: 0.02 },
  'doubles 20 % of all frames': { faults: { duplicate: 0.2 }, writesMin: 20, resentMax: 0.1 },
  'reorders frames within 2 ms': { faults: { jitterMs: 2 }, writesMin: 20, resentMax: 0.4 },
  'delays frames by 5 ms': { faults: { delayMs: 5 }, writesMin: 20, resentMax: 0.1 },
  'loses, doubles and reorders frames': { faults: { loss: 0.02, duplicate: 0.05, jitterMs: 2 }, mtu: 9000, writesMin: 20 },
};

/** What a network may do to frames. fio reads back all that it writes. */
describeIf([root(), command('ip', 'iproute2'), command('vblade'), command('fio')], 'bad networks', () => {
  for (const [does, { faults, mtu, writesMin, resentMin = 0, resentMax = 1 }] of Object.entries(WEATHERS)) {
    test(`not a byte is wrong when the network ${does}`, async () => {
      await behindRelay(
        async ({ lab, relay, initiator }) => {
          await relay.set({ seed: 7, ...faults });
          const result = await fioVerifyFor(4, initiator.uri('e10.3'), lab.folder);
          expect(result).toMatchObject({ error: 0, text: '' });
          expect(result.writes).toBeGreaterThan(writesMin);
          const { 'aoe.framesSent': sent, 'aoe.framesResent': resent, ...rest } = await initiator.statistics();
          expect(resent / sent).toBeGreaterThanOrEqual(resentMin);
          expect(resent / sent).toBeLessThanOrEqual(resentMax);
          expect(rest['aoe.requestsFailed']).toBe(0);
          // Frames nobody asked for come from doubling and from resending, from nothing else.
          if (faults.duplicate === undefined) expect(rest['aoe.unexpected']).toBeLessThanOrEqual(resent + 10);
        },
        {},
        mtu,
      );
    });
  }

  test('I/O waits, and the volume says so, when frames get through in one direction only', async () => {
    await behindRelay(async ({ lab, relay, initiator }) => {
      const io = fioVerifyFor(6, initiator.uri('e10.3'), lab.folder);
      for (const cut of ['from left', 'from right', 'both'] as const) {
        await sleep(500);
        await relay.set({ cut });
        await initiator.state('e10.3', 'down', 1_500);
        await sleep(300);
        await relay.set({});
        await initiator.state('e10.3', 'up', 1_500);
      }
      expect(await io).toMatchObject({ error: 0, text: '' });
    });
  });

  test('the window shrinks and I/O goes on when the target drops what its buffers can’t hold', async () => {
    await behindRelay(
      async ({ lab, initiator }) => {
        const result = await fioVerifyFor(3, initiator.uri('e10.3'), lab.folder, '--iodepth=32');
        expect(result).toMatchObject({ error: 0, text: '' });
        expect((await initiator.path('e10.3')).window).toBeLessThanOrEqual(4);
      },
      { words: ['-b', '4'] },
    );
  });
});
