import { stdin } from 'node:process';
import type { SystemError } from '../../src/system/errno.ts';
import { listenUnix } from '../../src/system/unix-socket.ts';

/**
 * A process that listens on each path it is given, from the given time (of Date.now) on, prints how that went ('listening', or the
 * error's code) as one line of JSON, and keeps what it got until its standard input ends.
 */
const [startMs, ...paths] = process.argv.slice(2);
while (Date.now() < Number(startMs));
const outcomes = paths.map((path) => {
  try {
    listenUnix(path, { backlog: 16, mode: 0o600 });
    return 'listening';
  } catch (error) {
    return (error as SystemError).code;
  }
});
console.log(JSON.stringify(outcomes));
stdin.resume();
