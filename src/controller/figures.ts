import { Gauge, type Registry } from 'prom-client';
import { TARGET_STATES, TASK_KINDS, TASK_STATES, type TargetRecord } from '../volumes/records.ts';

/** Those of volumes, whose `reason` says what is wrong: of others the state says it. */
const OF_VOLUMES = ['Claimed', 'Static'] as const;

/**
 * How many targets and tasks there are, as metrics. Only the controller that looks after the targets shows them, so that nothing is
 * counted twice, nor asked of the API server for it: where none does, they are missing, rather than of some time ago.
 */
export class Figures {
  readonly #targets: Gauge<'state'>;
  readonly #unwell: Gauge<'state'>;
  readonly #tasks: Gauge<'kind' | 'state'>;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#targets = new Gauge({
      name: 'aoe_csi_controller_targets',
      help: 'Targets by state.',
      labelNames: ['state'],
      registers,
    });
    this.#unwell = new Gauge({
      name: 'aoe_csi_controller_targets_unwell',
      help: 'Targets of volumes with which something is wrong: it stands in their reason.',
      labelNames: ['state'],
      registers,
    });
    this.#tasks = new Gauge({
      name: 'aoe_csi_controller_tasks',
      help: 'Tasks of nodes on targets, by kind and by how far they are.',
      labelNames: ['kind', 'state'],
      registers,
    });
  }

  /** @param targets all there are; what there is none of is shown as 0 */
  show(targets: readonly TargetRecord[]): void {
    for (const state of TARGET_STATES) this.#targets.set({ state }, 0);
    for (const state of OF_VOLUMES) this.#unwell.set({ state }, 0);
    for (const kind of TASK_KINDS) for (const state of TASK_STATES) this.#tasks.set({ kind, state }, 0);
    for (const { state, reason, task } of targets) {
      this.#targets.inc({ state });
      if (reason !== '' && isOfVolume(state)) this.#unwell.inc({ state });
      if (task !== undefined) this.#tasks.inc({ kind: task.kind, state: task.state });
    }
  }

  /** It is not known any more, or another controller knows it. */
  clear(): void {
    for (const gauge of [this.#targets, this.#unwell, this.#tasks]) gauge.reset();
  }
}

function isOfVolume(state: TargetRecord['state']): boolean {
  return (OF_VOLUMES as readonly string[]).includes(state);
}
