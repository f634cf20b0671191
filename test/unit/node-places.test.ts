import { describe, expect, test } from '@jest/globals';
import { Logger } from '../../src/logging/logger.ts';
import { Places } from '../../src/node/places.ts';
import { Registrar } from '../../src/node/registrar.ts';
import type { Segments } from '../../src/volumes/topology.ts';
import { eventually } from '../support/faults-process.ts';

const SOON_MS = 5_000;

describe('Places', () => {
  const places = new Places('aoe.csi.dev', { zone: 'z1' }, { 'san-a': ['eth1'], 'san-b': ['eth2', 'san*'] });

  test.each([
    [[], {}],
    [['eth0'], {}],
    [['eth1'], { 'topology.aoe.csi.dev/san-a': 'true' }],
    [['eth1', 'san7'], { 'topology.aoe.csi.dev/san-a': 'true', 'topology.aoe.csi.dev/san-b': 'true' }],
  ])('segmentsOn(%j) has the networks that these interfaces are on, and what a person says', (interfaces, expected) => {
    expect(places.segmentsOn(interfaces)).toEqual({ zone: 'z1', ...expected });
  });

  test('depend on interfaces where networks are named', () => {
    expect(places.dependOnInterfaces).toBe(true);
    expect(new Places('aoe.csi.dev', { zone: 'z1' }, {}).dependOnInterfaces).toBe(false);
  });
});

test('Registrar registers anew when the node is in another place, and ends with the last registration', async () => {
  let segments: Segments = { a: 'true' };
  const told: Segments[] = [];
  let stopped = 0;
  const register = async () => {
    told.push(segments);
    // The second try fails.
    if (told.length === 2) throw new Error('no room');
    return Promise.resolve({ stop: async () => Promise.resolve(void stopped++), refusal: undefined });
  };
  const registrar = new Registrar({ register, segments: () => segments, logger: Logger.create('silent'), lookMs: 5 });
  await registrar.start();
  segments = { a: 'true', b: 'true' };
  await eventually('a second and a third try', SOON_MS, () => told.length === 3);
  expect(told).toEqual([{ a: 'true' }, segments, segments]);
  await registrar.stop();
  expect(told).toHaveLength(3);
  expect(stopped).toBe(2);
});
