import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { DEFAULT_DRIVER_NAME } from '../../src/csi/driver-name.ts';
import { identityHandlers } from '../../src/identity/identity.ts';
import { go } from '../support/csi-go.ts';
import { csiSanity, runCsiSanity, SANITY_BUILD_MS, sanityFailures, type SanityResult } from '../support/csi-sanity.ts';
import { serveCsi, type CsiTestServer } from '../support/csi-server.ts';
import { describeIf } from '../support/requires.ts';

describeIf([go()], 'csi-sanity', () => {
  let folder: string;
  let server: CsiTestServer;
  let result: SanityResult;

  beforeAll(async () => {
    csiSanity();
    folder = mkdtempSync(join(tmpdir(), 'aoe-csi-sanity-'));
    server = await serveCsi({
      identity: identityHandlers({ driverName: DEFAULT_DRIVER_NAME, version: '1.2.3', isReady: () => true }),
    });
    result = await runCsiSanity({
      nodeSocket: server.socketPath,
      controllerSocket: server.socketPath,
      accessType: 'mount',
      folder,
      volumeSizeBytes: 1 << 20,
      expandedSizeBytes: 2 << 20,
      parameters: {},
      mutableParameters: {},
      timeoutMs: 60_000,
      focus: 'Identity Service',
    });
  }, SANITY_BUILD_MS);

  afterAll(async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test('finds nothing wrong with Identity', () => {
    expect(sanityFailures(result)).toEqual([]);
    expect(result).toMatchObject({ passed: 3, failed: 0, skipped: 0 });
  });
});
