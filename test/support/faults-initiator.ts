import { createInterface } from 'node:readline';
import { DataPath, type DataPathError } from '../../src/initiator/data-path.ts';
import type { Command } from '../../src/initiator/messages.ts';

/**
 * The initiator's data path in a process of its own, in whatever network namespace it was started: commands come in as JSON
 * lines, replies and notices go out as JSON lines. Arguments are the interfaces that it may use. It ends with its input.
 */
interface CommandLine {
  readonly id: number;
  readonly command: Command;
}

/** 16 MiB of payload memory: enough for every test, and little enough to run out of when a test wants that. */
const CHUNKS = 256;

function print(message: unknown): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

const dataPath = new DataPath(
  { interfaces: process.argv.slice(2), chunks: CHUNKS, lockMemory: false },
  {
    notice: (kind, target, text) => print({ kind, target, text }),
    failed: (error) => {
      print({ kind: 'failed', target: '', text: error.stack ?? error.message });
      process.exitCode = 1;
    },
  },
);

async function execute({ id, command }: CommandLine): Promise<void> {
  try {
    print({ id, reply: await dataPath.execute(command) });
  } catch (error) {
    const { code, message } = error as DataPathError;
    print({ id, failure: { code, message } });
  }
}

const input = createInterface({ input: process.stdin });
input.on('line', (line) => void execute(JSON.parse(line) as CommandLine));
input.on('close', () => void dataPath.stop());
