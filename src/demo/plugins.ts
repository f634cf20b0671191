import { mkdirSync } from 'node:fs';
import { controllerCommandLine, nodeCommandLine } from './commands.ts';
import type { Daemon } from './daemon.ts';
import type { Laboratory } from './laboratory.ts';
import { Once } from './once.ts';
import type { Orchestrator } from './orchestrator.ts';

/** The driver: controller and node plugin, which share a store in a folder. Neither needs any network. */
export class Plugins {
  /** Kills the node plugin and starts it again: volumes in use stay in use. */
  readonly nodeRestart: Once;
  readonly #laboratory: Laboratory;
  readonly #orchestrator: Orchestrator;
  #node: Daemon;

  /** Starts both and waits until they say that they are ready. */
  static async start(laboratory: Laboratory, orchestrator: Orchestrator): Promise<Plugins> {
    const { run, narrator } = laboratory;
    mkdirSync(run.kubeletFolder, { recursive: true });
    const plugins = new Plugins(laboratory, orchestrator);
    await orchestrator.ready('controller');
    await orchestrator.ready('node');
    narrator.say(`controller and node plugin: serve CSI, with a store in ${run.storeFolder}`);
    return plugins;
  }

  private constructor(laboratory: Laboratory, orchestrator: Orchestrator) {
    this.#laboratory = laboratory;
    this.#orchestrator = orchestrator;
    laboratory.start('controller', controllerCommandLine(laboratory.run));
    this.#node = this.#startNode();
    this.nodeRestart = new Once(async () => this.#restartNode(), laboratory.fail);
  }

  async #restartNode(): Promise<void> {
    const { narrator } = this.#laboratory;
    await this.#node.stop('SIGKILL');
    narrator.say('node plugin: killed while data is being written');
    this.#node = this.#startNode();
    await this.#orchestrator.ready('node');
    narrator.say('node plugin: started again, and ready');
  }

  #startNode(): Daemon {
    return this.#laboratory.start('node', nodeCommandLine(this.#laboratory.run));
  }
}
