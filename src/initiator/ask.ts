import type { Command, Reply } from './messages.ts';

/** Where commands go: the data path, as the control side sees it. */
export interface CommandTarget {
  /** Rejects with DataPathError. */
  execute(command: Command): Promise<Reply>;
}

/** Carries out a command that is answered with a reply of one kind, and returns that. */
export async function ask<Op extends Reply['op']>(
  target: CommandTarget,
  command: Command,
  op: Op,
): Promise<Extract<Reply, { op: Op }>> {
  const reply = await target.execute(command);
  if (reply.op !== op) throw new Error(`the data path answered ${command.op} with ${reply.op}, not ${op}`);
  return reply as Extract<Reply, { op: Op }>;
}
