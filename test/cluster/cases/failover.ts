import { figure, type Given } from './given.ts';

const HEAL_MS = 120_000;
const OUT_OF_SERVICE = 'node.kubernetes.io/out-of-service=nodeshutdown:NoExecute';

/** A pod that runs where the node will hang, and its volume. */
export interface Victim {
  readonly node: string;
  readonly pod: string;
  readonly claim: string;
}

/**
 * A node hangs and is declared out of service, its pod is deleted, and a pod `successor` gets the volume on the other node. Then the
 * node goes on with what it was about to write, is refused, and gives the volume up.
 * @param meanwhile what is done while the successor runs and the node hangs
 */
export async function failOver(given: Given, { node, pod, claim }: Victim, meanwhile: () => Promise<void>): Promise<void> {
  const { cluster, driver, work } = given;
  const target = await work.bound(claim);
  const frozenMs = performance.now();
  cluster.node(node).freeze();
  try {
    await cluster.kubectl.run('taint', 'nodes', node, OUT_OF_SERVICE);
    await work.pod('successor', { claim, node: given.otherNode(node) });
    await cluster.kubectl.run('delete', 'pod', pod, `--namespace=${work.namespace}`, '--wait=false');
    await work.running('successor');
    figure(`failover took ${((performance.now() - frozenMs) / 1000).toFixed(1)} s`);
    await meanwhile();
  } finally {
    cluster.node(node).thaw();
  }
  await cluster.until(`${node} to be refused`, HEAL_MS, async () =>
    (await driver.log(node, 'initiator')).includes('"component":"reserved"'),
  );
  await cluster.until(`${node} to have given ${target} up`, HEAL_MS, async () => {
    const [{ spec }] = (await driver.list('aoenodes')).filter(({ metadata }) => metadata.name === node);
    return Object.keys(spec['staged'] as object).length === 0;
  });
  await cluster.kubectl.run('taint', 'nodes', node, `${OUT_OF_SERVICE}-`);
  await driver.ready();
}
