import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { CAP_IPC_LOCK, CAP_SYS_RESOURCE } from '../../src/system/capabilities.ts';
import { capability, command, describeIf, root, testIf } from '../support/requires.ts';

/** What a process does to protect itself, as the kernel tells of it. */

const SCENARIOS = fileURLToPath(new URL('../support/system-protected.js', import.meta.url));
const mayLock = [capability(CAP_IPC_LOCK, 'CAP_IPC_LOCK')];
const mayFlush = [capability(CAP_SYS_RESOURCE, 'CAP_SYS_RESOURCE')];
const IN_FIRST_PLACE = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'];

function without(right: string): string[] {
  return ['setpriv', `--bounding-set=-${right}`, `--inh-caps=-${right}`];
}

/** Runs a scenario and returns what it saw. @param launcher a command that runs it */
function run<T>(scenario: string, launcher: readonly string[] = [], more: readonly string[] = []): T {
  const [program, ...args] = [...launcher, process.execPath, '--stack-size=985', SCENARIOS, scenario, ...more];
  return JSON.parse(execFileSync(program, args, { encoding: 'utf8' })) as T;
}

describeIf([root(), command('setpriv', 'util-linux'), command('prlimit', 'util-linux')], 'a protected process', () => {
  test('executeAgain() starts the program anew in the same process with its words, options, environment and streams', () => {
    const seen = run('execute again', [], ['ä b', '']);
    const words = ['execute again', 'ä b', ''];
    expect(seen).toEqual({ same: true, words, option: ['--stack-size=985'], wish: 'grün = ja' });
  });

  test('executeAgain() changes nothing when the program is not there', () => {
    expect(run('execute nothing')).toMatch(/^cannot start \/nonexistent anew in this process: execve: ENOENT/);
  });

  testIf(mayLock, 'lockProgramText() keeps all code in memory', () => {
    const { message, wantedKb, kb } = run<{ message: string; wantedKb: number; kb: number }>('text');
    expect(message).toBe('');
    expect(wantedKb).toBeGreaterThan(10_000);
    expect(kb).toBe(wantedKb);
  });

  test('lockProgramText() keeps what the limit allows and says what is missing when it may not lock more', () => {
    const limited = [...without('ipc_lock'), 'prlimit', '--memlock=8388608'];
    const { message, wantedKb, kb } = run<{ message: string; wantedKb: number; kb: number }>('text', limited);
    expect(message).toMatch(
      /^cannot keep more than \d\.\d of \d+\.\d MiB of this program's code in memory: mlock2: ENOMEM .*CAP_IPC_LOCK.*RLIMIT_MEMLOCK/,
    );
    expect(kb).toBeGreaterThan(0);
    expect(kb).toBeLessThan(wantedKb);
  });

  testIf(mayLock, 'lockArena() keeps the pages that have been used', () => {
    expect(run('arena')).toEqual({ message: '', before: 0, after: 8 * 4 });
  });

  test('lockArena() says what is missing when it may lock nothing', () => {
    const { message } = run<{ message: string }>('arena', [...without('ipc_lock'), 'prlimit', '--memlock=0']);
    expect(message).toMatch(/^cannot keep 0\.3 MiB of buffer memory from being swapped out: mlock2: EPERM .*CAP_IPC_LOCK/);
  });

  test('becomeIoFlusher() says what is missing when it has not got the right', () => {
    const seen = run<{ before: boolean; message: string; after: boolean }>('io flusher', without('sys_resource'));
    expect(seen).toEqual({ before: false, after: false, message: expect.stringContaining('EPERM') });
    expect(seen.message).toContain('give it the capability CAP_SYS_RESOURCE');
  });

  testIf(mayFlush, 'becomeIoFlusher() holds for all threads when the program has been started anew', () => {
    expect(run('io flusher again')).toEqual({ threads: true, others: [] });
  });

  test("OrphanReaper removes what is left of other people's children and takes no status of its own", () => {
    const { most, left } = run<{ most: number; left: number }>('orphans', IN_FIRST_PLACE);
    expect(most).toBeGreaterThan(0);
    expect(left).toBe(0);
  });
});
