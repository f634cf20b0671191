import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

/** Linux, open(2): O_EXCL on a block device without O_CREAT fails with EBUSY while it is mounted, or held by another device. */
const SCRIPT = `
  const { constants, openSync } = require('node:fs');
  try { openSync(process.argv[1], constants.O_RDONLY | constants.O_EXCL); }
  catch (error) { process.stdout.write(String(error.code)); }
`;
const ANSWER_MS = 10_000;

/**
 * Whether somebody has claimed a block device for himself, also where his mounts and processes can't be seen from here. It is opened in
 * a process of its own: whoever serves a device must not open it, because opening and closing can wait for the server.
 * @returns the name of the error that opening ended with, `no answer`, or '' when nobody has claimed it
 */
export async function exclusiveOpenFailure(device: string): Promise<string> {
  const late = new AbortController();
  const asked = new Promise<string>((resolve) => {
    const child = execFile(process.execPath, ['-e', SCRIPT, device], (error, stdout) => {
      resolve(error === null ? stdout : 'no answer');
    });
    child.unref();
    late.signal.addEventListener('abort', () => child.kill('SIGKILL'));
  });
  const answer = await Promise.race([asked, sleep(ANSWER_MS, 'no answer', { signal: late.signal, ref: false })]);
  late.abort();
  return answer;
}
