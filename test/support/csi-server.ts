import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CsiServices } from '../../src/csi/handlers.ts';
import type { Outcome } from '../../src/csi/observed.ts';
import { requestIds } from '../../src/csi/request-ids.ts';
import { csiDefinition } from '../../src/csi/service.ts';
import { Logger, type LogLevel } from '../../src/logging/logger.ts';
import { RpcServer } from '../../src/rpc/server.ts';
import { listenUnix } from '../../src/system/unix-socket.ts';

/** One line of the log, parsed. */
export type LogLine = Readonly<Record<string, unknown>>;

/** CSI services on a socket of their own, in this process. */
export interface CsiTestServer {
  readonly socketPath: string;
  readonly log: readonly LogLine[];
  readonly outcomes: readonly Outcome[];
  stop(): Promise<void>;
}

export async function serveCsi(services: CsiServices, level: LogLevel = 'debug'): Promise<CsiTestServer> {
  const folder = mkdtempSync(join(tmpdir(), 'aoe-csi-csi-'));
  const socketPath = join(folder, 'csi.sock');
  const log: LogLine[] = [];
  const outcomes: Outcome[] = [];
  const logger = Logger.create(level, { write: (line) => log.push(JSON.parse(line) as LogLine) });
  const ended = (outcome: Outcome): void => void outcomes.push(outcome);
  const { definition, handlers } = csiDefinition(services, { logger, ended, nextId: requestIds() });
  const server = new RpcServer(definition, handlers);
  await server.serve(listenUnix(socketPath, { backlog: 16, mode: 0o600 }));
  const stop = async (): Promise<void> => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  return { socketPath, log, outcomes, stop };
}
