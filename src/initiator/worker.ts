/** Entry of the data-path thread. It stays in its own loop for good and never returns to Node's. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { Arena } from '../buffers/arena.ts';
import { EventFd } from '../system/eventfd.ts';
import { lockArena } from '../system/memory-lock.ts';
import { Commands } from './commands.ts';
import { Loop } from './loop.ts';
import type { CommandMessage, WorkerMessage, WorkerOptions } from './messages.ts';
import { nowUs } from '../time/clock.ts';

const port = parentPort;
if (port === null) throw new Error('this module runs as a worker thread only');
const options = workerData as WorkerOptions;
const commands = new Commands((message: WorkerMessage) => port.postMessage(message), options.listening);
const loop = new Loop(options, new EventFd(options.eventFd), commands, {
  takeCommands: (now) => {
    for (let received = receiveMessageOnPort(port); received !== undefined; received = receiveMessageOnPort(port)) {
      const { id, command } = received.message as CommandMessage;
      commands.execute(id, command, now);
    }
  },
  notice: (kind, target, text) => commands.notice(kind, target, text),
  kernelGone: (connection, goodbye) => port.postMessage({ type: 'kernelGone', connection, goodbye } satisfies WorkerMessage),
  linkDead: (index) => port.postMessage({ type: 'linkDead', index } satisfies WorkerMessage),
});
commands.connect(loop);
const { address, bytes } = loop.memory.arena;
port.postMessage({ type: 'mapped', address, sizeBytes: bytes.length } satisfies WorkerMessage);
if (options.lockMemory) keepInMemory(loop.memory.arena);
commands.execute(0, { op: 'setInterfaces', patterns: options.interfaces }, nowUs());
loop.run();
loop.close();
port.close();

/** As well as this machine allows. */
function keepInMemory(arena: Arena): void {
  try {
    lockArena(arena);
  } catch (error) {
    commands.notice('protection', '', (error as Error).message);
  }
}
