import { spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { CHART, Helm, REQUIRED, type Values } from '../support/cluster-helm.ts';
import { PROGRAMS_BUILD_MS, helm } from '../support/cluster-programs.ts';
import { go } from '../support/csi-go.ts';
import { pathOf, textOf } from '../support/repository.ts';
import { describeIf } from '../support/requires.ts';

/** Values, and what the chart makes of them: `AOE_CSI_UPDATE_RENDERINGS=1 npm run test:cluster -- chart-rendering` writes it anew. */
const FOLDER = 'test/cluster/chart';
const BASE = 'minimal';
const OTHERS = readdirSync(pathOf(FOLDER))
  .filter((file) => file.endsWith('.json') && file !== `${BASE}.json`)
  .map((file) => file.slice(0, -'.json'.length))
  .toSorted();
const RELEASE = { name: 'aoe-csi', namespace: 'storage' };
const VERSIONS = ['--api-versions', 'monitoring.coreos.com/v1/ServiceMonitor'];

describeIf([go()], 'the chart without a cluster', () => {
  let chart: Helm;

  beforeAll(() => {
    helm();
    chart = new Helm();
  }, PROGRAMS_BUILD_MS);
  afterAll(() => chart.end());

  const rendered = async (name: string): Promise<string> => {
    const values = JSON.parse(textOf(`${FOLDER}/${name}.json`)) as Values;
    // Definitions are compared with what they are made of in test/tidy/generated.
    return chart.template(RELEASE, { ...values, crds: { install: 'never' } }, ...(name === 'everything' ? VERSIONS : []));
  };
  const matches = (file: string, text: string): void => {
    if (process.env['AOE_CSI_UPDATE_RENDERINGS'] === '1') writeFileSync(pathOf(`${FOLDER}/${file}`), text);
    expect(text).toBe(textOf(`${FOLDER}/${file}`));
  };

  test(`renders ${BASE}.json as ${BASE}.yaml`, async () => {
    matches(`${BASE}.yaml`, await rendered(BASE));
  });

  test.each(OTHERS)('renders %s.json as minimal.yaml with what its diff says', async (name) => {
    matches(`${name}.diff`, differences(`${FOLDER}/${BASE}.yaml`, await rendered(name)));
  });

  test('has nothing that helm lint complains of', async () => {
    const values = pathOf(`${FOLDER}/everything.json`);
    expect(await chart.run('lint', CHART, '--strict', '--quiet', '--values', values)).toBe('');
  });

  test.each<[string, Values, string | RegExp]>([
    ['no values', {}, /clusterId is missing: give this cluster a name that no other/],
    ['no interfaces', { clusterId: 'c' }, /interfaces is empty: .* --set 'interfaces=\{eth1\}' .*allowNoInterfaces=true/],
    ['an unknown key', { ...REQUIRED, interfeces: [] }, "additional properties 'interfeces' not allowed"],
    [
      'an unknown key further in',
      { ...REQUIRED, node: { volumeMax: 3 } },
      "at '/node': additional properties 'volumeMax' not allowed",
    ],
    ['interfaces that are no list', { ...REQUIRED, interfaces: 'eth1' }, "at '/interfaces': got string, want array"],
    ['an interface with a comma', { ...REQUIRED, interfaces: ['a,b'] }, "'/interfaces/0': 'a,b' does not match pattern"],
    ['a cluster id with a slash', { ...REQUIRED, clusterId: 'a/b' }, "'/clusterId': 'a/b' does not match pattern"],
    ['a driver name in capitals', { ...REQUIRED, driverName: 'AoE.dev' }, "'/driverName': 'AoE.dev' does not match pattern"],
    [
      'a class with a parameter that there is not',
      { ...REQUIRED, storageClasses: [{ name: 'a', parameters: { shelf: '1' } }] },
      "'shelf' not allowed",
    ],
    [
      'a class with a value that makes no sense',
      { ...REQUIRED, storageClasses: [{ name: 'a', parameters: { fencing: 'yes' } }] },
      'fencing',
    ],
    [
      'a backend that makes no devices',
      { ...REQUIRED, initiator: { attach: 'nbd-socket' } },
      "at '/initiator/attach': value must be one of 'auto', 'nbd', 'fuse'",
    ],
    [
      'a limit of CPU for the initiator',
      { ...REQUIRED, initiator: { resources: { limits: { cpu: 1 } } } },
      /all volumes of its node stand still/,
    ],
    [
      'the registrar beside pods that overlap',
      { ...REQUIRED, registrar: { enabled: true } },
      /registrar.enabled is set and node.updateStrategy has maxSurge: .* Set node.updateStrategy.type=OnDelete, or/,
    ],
  ])('refuses %s, and says why', async (_, values, reason) => {
    await expect(chart.template(RELEASE, values)).rejects.toThrow(reason);
  });
});

/** As diff says it, but without numbers of lines, which say nothing and change with each other line. */
function differences(base: string, text: string): string {
  const { stdout, status, stderr } = spawnSync('diff', ['-U2', '--label', 'a', '--label', 'b', pathOf(base), '-'], {
    input: text,
    encoding: 'utf8',
    maxBuffer: 1 << 24,
  });
  if (status !== 0 && status !== 1) throw new Error(`diff failed: ${stderr}`);
  return stdout.replace(/^--- a\n\+\+\+ b\n/, '').replace(/^@@ .*@@$/gm, '@@');
}
