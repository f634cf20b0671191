import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { SAN } from '../support/faults-laboratory.ts';
import { NbdClient } from '../support/faults-nbd-client.ts';
import { eventually } from '../support/faults-process.ts';
import { withInitiators, type InitiatorProcess } from '../support/initiator-process.ts';
import { CAP_IPC_LOCK } from '../../src/system/capabilities.ts';
import { capability, command, describeIf, root, testIf } from '../support/requires.ts';

/** What an initiator does so that it does not wait for its own devices. */

const BY_SOCKET = ['--interfaces', SAN, '--attach', 'nbd-socket'];
const WITHOUT_RESOURCE = ['setpriv', '--bounding-set=-sys_resource', '--inh-caps=-sys_resource'];
const START_MS = 10_000;

describeIf([root(), command('ip', 'iproute2'), command('vblade')], 'a protected initiator', () => {
  test('it serves while nobody reads its log', async () =>
    withInitiators(async ({ lab, launch }) => {
      lab.wire();
      await lab.vblade('e10.3', lab.disk());
      const pipe = join(lab.folder, 'log');
      execFileSync('mkfifo', [pipe]);
      const reader = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK);
      try {
        fill(reader);
        const initiator = launch('i', [...BY_SOCKET, '--log-level', 'debug'], ['sh', '-c', `exec "$0" "$@" 2>'${pipe}'`]);
        await eventually('the initiator to answer', START_MS, async () => (await initiator.run('stat')).code === 0);
        const client = await NbdClient.open(await initiator.must('attach', 'e10.3'), 'e10.3');
        expect((await client.write(0, Buffer.alloc(4096, 7))).error).toBe(0);
        expect((await client.read(0, 4096)).data).toEqual(Buffer.alloc(4096, 7));
        client.socket.destroy();
        initiator.process.signal('SIGTERM');
        expect(await initiator.end()).toBe(0);
      } finally {
        closeSync(reader);
      }
    }));

  testIf(
    [capability(CAP_IPC_LOCK, 'CAP_IPC_LOCK')],
    'it keeps its code and its buffers in memory, unless it is told not to',
    async () =>
      withInitiators(async ({ launch }) => {
        const locked = await launch('i', BY_SOCKET).ready();
        // The buffers are mapped and locked by the data-path thread, which answers this.
        await locked.must('stat');
        expect(lockedKb(locked)).toBeGreaterThan(64 * 1024 + 10 * 1024);
        const free = await launch('j', [...BY_SOCKET, '--no-lock-memory']).ready();
        await free.must('stat');
        expect(lockedKb(free)).toBe(0);
      }),
  );

  test('it names what it may not do, once, and runs', async () =>
    withInitiators(async ({ launch }) => {
      const initiator = await launch('i', BY_SOCKET, WITHOUT_RESOURCE).ready();
      const named = initiator.log.filter((line) => line.includes('CAP_SYS_RESOURCE'));
      expect(named).toEqual([
        expect.stringMatching(/^cannot lower this process' oom_score_adj from -?\d+ to -998: EACCES/),
        expect.stringMatching(
          /^cannot keep memory allocations of this process from waiting .*: prctl\(PR_SET_IO_FLUSHER\): EPERM/,
        ),
      ]);
      const silent = await launch('j', [...BY_SOCKET, '--no-io-flusher', '--oom-score-adj', '1000'], WITHOUT_RESOURCE).ready();
      expect(silent.log.filter((line) => line.startsWith('cannot'))).toEqual([]);
    }));

  test('SIGTERM ends it in good order also while it starts', async () =>
    withInitiators(async ({ launch }) => {
      const initiator = launch('i', BY_SOCKET);
      await initiator.logged(/^attach backend/);
      initiator.process.signal('SIGTERM');
      expect(await initiator.end()).toBe(0);
      expect(initiator.log.at(-1)).toBe('stopped');
    }));
});

/** Writes until nothing more fits in. */
function fill(pipe: number): void {
  for (const size of [4096, 1]) {
    try {
      for (;;) writeSync(pipe, Buffer.alloc(size, '.'));
    } catch (error) {
      if ((error as { code?: string }).code !== 'EAGAIN') throw error;
    }
  }
}

function lockedKb({ process: { child } }: InitiatorProcess): number {
  return Number(/^VmLck:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${String(child.pid)}/status`, 'utf8'))?.[1]);
}
