import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ControlPlane } from '../support/cluster-control-plane.ts';
import { Helm, REQUIRED, type Values } from '../support/cluster-helm.ts';
import { helm, PROGRAMS_BUILD_MS } from '../support/cluster-programs.ts';
import { CONTROL_PLANE } from '../support/cluster-requirements.ts';
import { eventually } from '../support/faults-process.ts';
import { textOf } from '../support/repository.ts';
import { describeIf } from '../support/requires.ts';

const DEFINITION = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/aoetargets.aoe.csi.dev';
const MERGE = 'application/merge-patch+json';

const KNOWN_MS = 20_000;

interface Monitor {
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly spec: {
    readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
    readonly endpoints: readonly { readonly port: string }[];
  };
}

interface Service {
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly spec: { readonly ports: readonly { readonly name: string }[] };
}

interface Definition {
  readonly metadata: { readonly annotations: Readonly<Record<string, string>> };
  readonly spec: { readonly names: { readonly shortNames?: readonly string[] } };
}

/** As the Prometheus operator has it, in short. */
const SERVICE_MONITORS = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'servicemonitors.monitoring.coreos.com' },
  spec: {
    group: 'monitoring.coreos.com',
    scope: 'Namespaced',
    names: { kind: 'ServiceMonitor', plural: 'servicemonitors', singular: 'servicemonitor' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
};

/** Releases are installed one after the other, and in the end there are several. */
describeIf(CONTROL_PLANE, 'the chart on an API server', () => {
  let plane: ControlPlane;
  let chart: Helm;
  const release = { name: 'first', namespace: 'first' };
  const second = { name: 'second', namespace: 'second' };
  const inSecond: Values = { ...REQUIRED, clusterId: 'c2', driverName: 'second.example' };

  beforeAll(async () => {
    helm();
    plane = await ControlPlane.start();
    chart = new Helm(plane.admin);
    await chart.install(release, REQUIRED);
  }, PROGRAMS_BUILD_MS);
  afterAll(async () => {
    chart?.end();
    await plane?.end();
  });

  const get = async (path: string): Promise<unknown> => plane.request({ method: 'GET', path });
  const definition = async (): Promise<Definition> => (await get(DEFINITION)) as Definition;
  const ownerOf = async (): Promise<string | undefined> => (await definition()).metadata.annotations['meta.helm.sh/release-name'];

  test.each(['everything', 'unprivileged', 'bare', 'second'])('every object of %s.json is accepted', async (name) => {
    const values = JSON.parse(textOf(`test/cluster/chart/${name}.json`)) as Values;
    const place = { name, namespace: `accepts-${name}` };
    await chart.install(place, { ...values, clusterId: name, driverName: `${name}.example` });
    await chart.uninstall(place);
  });

  test('an upgrade changes what is there; another cluster id is refused', async () => {
    await chart.upgrade(release, { ...REQUIRED, interfaces: ['eth1', 'eth2'] });
    const { spec } = (await get('/apis/apps/v1/namespaces/first/daemonsets/aoe-csi-node')) as {
      spec: { template: { spec: { containers: { args: string[] }[] } } };
    };
    expect(spec.template.spec.containers[0].args).toContain('--interfaces=eth1,eth2');
    await expect(chart.upgrade(release, { ...REQUIRED, clusterId: 'other' })).rejects.toThrow(
      /"aoe-csi-cluster" is invalid: data: Forbidden: field is immutable/,
    );
  });

  test('an upgrade does not change what volumes have been told for ever, unless it has to', async () => {
    await expect(chart.upgrade(release, { ...REQUIRED, driverName: 'other.example' })).rejects.toThrow(
      /driverName can't be changed from aoe.csi.dev to other.example: volumes keep it for ever/,
    );
    const networks = { 'san-a': ['eth1'] };
    const now = /nodes are in the segment topology.aoe.csi.dev\/segment=default now, and with these values in /;
    const keep = /--set 'node.segments.topology\\.aoe\\.csi\\.dev\/segment=default'/;
    for (const node of [{ networks }, { segments: { 'topology.aoe.csi.dev/segment': 'rack-a' } }]) {
      await expect(chart.upgrade(release, { ...REQUIRED, node })).rejects.toThrow(now);
      await expect(chart.upgrade(release, { ...REQUIRED, node })).rejects.toThrow(keep);
    }
    await chart.upgrade(release, {
      ...REQUIRED,
      node: { networks, segments: { 'topology.aoe.csi.dev/segment': 'default' } },
    });
    await chart.upgrade(release, { ...REQUIRED, node: { networks, allowOtherSegments: true } });
    // What comes on top takes nothing away.
    await chart.upgrade(release, REQUIRED);
  });

  test('a second installation needs a namespace and a driver name of its own', async () => {
    await expect(chart.install(second, { ...REQUIRED, clusterId: 'c2' })).rejects.toThrow(
      /"aoe.csi.dev-\S+" in namespace "" exists and cannot be imported into the current release/,
    );
    await expect(chart.install({ ...second, namespace: 'first' }, inSecond)).rejects.toThrow(
      /in namespace "first" exists and cannot be imported into the current release/,
    );
    await chart.install(second, inSecond);
    expect(await ownerOf()).toBe('first');
  });

  test('a second installation needs a cluster id of its own, also when the first has gone and its volumes have not', async () => {
    const third = { name: 'third', namespace: 'third' };
    const inThird = { ...REQUIRED, driverName: 'third.example' };
    await expect(chart.install(third, inThird)).rejects.toThrow(
      /clusterId c is the one of the installation in namespace first: .*--set clusterId=c-third.*kubectl -n first delete configmap aoe-csi-cluster/,
    );
    await chart.install(third, { ...inThird, clusterId: 'c3' });
    await chart.uninstall(third);
    await expect(chart.install({ ...third, namespace: 'fourth' }, { ...inThird, clusterId: 'c3' })).rejects.toThrow(
      /clusterId c3 is the one of the installation in namespace third: /,
    );
    // What is there already is its own.
    await chart.install(third, { ...inThird, clusterId: 'c3' });
    await chart.upgrade(third, { ...inThird, clusterId: 'c3', interfaces: ['eth2'] });
    await chart.uninstall(third);
  });

  test('definitions are upgraded with the release that has installed them, and by no other', async () => {
    const body = { spec: { names: { shortNames: ['old'] } } };
    await plane.request({ method: 'PATCH', path: DEFINITION, body, contentType: MERGE });
    await chart.upgrade(second, inSecond);
    expect((await definition()).spec.names.shortNames).toEqual(['old']);
    await expect(chart.upgrade(second, { ...inSecond, crds: { install: 'always' } })).rejects.toThrow(
      /CustomResourceDefinition "aoe\w+\.aoe\.csi\.dev" .* exists and cannot be imported/,
    );
    await chart.upgrade(release, REQUIRED, '--force-conflicts');
    expect((await definition()).spec.names.shortNames).toEqual(['aoet']);
  });

  test('definitions and the cluster’s id outlive their release, and another one can take the definitions over', async () => {
    await chart.uninstall(release);
    expect(await ownerOf()).toBe('first');
    expect(await get('/api/v1/namespaces/first/configmaps/aoe-csi-cluster')).toMatchObject({ data: { clusterId: 'c' } });
    await chart.upgrade(second, { ...inSecond, crds: { install: 'always' } }, '--take-ownership');
    expect(await ownerOf()).toBe('second');
    await expect(chart.install(release, { ...REQUIRED, clusterId: 'other' })).rejects.toThrow(/field is immutable/);
    await chart.uninstall(release);
    await chart.install(release, REQUIRED);
    expect(await ownerOf()).toBe('second');
  });

  test('the Prometheus operator is told of the metrics once it is there', async () => {
    const monitors = '/apis/monitoring.coreos.com/v1/namespaces/first/servicemonitors';
    await plane.request({
      method: 'POST',
      path: '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
      body: SERVICE_MONITORS,
    });
    await eventually('ServiceMonitors to be known', KNOWN_MS, async () => get(monitors).catch(() => undefined));
    await chart.upgrade(release, { ...REQUIRED, metrics: { serviceMonitor: { labels: { release: 'prometheus' } } } });
    const { items } = (await get(monitors)) as { items: readonly Monitor[] };
    const { items: services } = (await get('/api/v1/namespaces/first/services')) as { items: readonly Service[] };
    expect(items.map(({ metadata }) => metadata.name)).toEqual(['aoe-csi-controller', 'aoe-csi-node']);
    for (const { metadata, spec } of items) {
      expect(metadata.labels).toMatchObject({ release: 'prometheus' });
      const wanted = Object.entries(spec.selector.matchLabels);
      const chosen = services.filter((service) => wanted.every(([key, value]) => service.metadata.labels[key] === value));
      expect(chosen.map((service) => service.metadata.name)).toEqual([`${metadata.name}-metrics`]);
      expect(spec.endpoints.map(({ port }) => port)).toEqual(chosen[0].spec.ports.map(({ name }) => name));
    }
  });

  test('controllers are pods of the strictest kind; nodes must be privileged', async () => {
    const admits = async (workload: string, level: string): Promise<string> => {
      const labels = { 'pod-security.kubernetes.io/enforce': level };
      await plane.request({
        method: 'PATCH',
        path: '/api/v1/namespaces/first',
        body: { metadata: { labels } },
        contentType: MERGE,
      });
      const { spec } = (await get(`/apis/apps/v1/namespaces/first/${workload}`)) as { spec: { template: object } };
      const body = { ...spec.template, metadata: { name: `probe-${level}` } };
      return plane.request({ method: 'POST', path: '/api/v1/namespaces/first/pods', query: { dryRun: 'All' }, body }).then(
        () => 'yes',
        (error: unknown) => String(error),
      );
    };
    expect(await admits('deployments/aoe-csi-controller', 'restricted')).toBe('yes');
    expect(await admits('daemonsets/aoe-csi-node', 'baseline')).toMatch(/violates PodSecurity/);
    expect(await admits('daemonsets/aoe-csi-node', 'privileged')).toBe('yes');
  });
});
