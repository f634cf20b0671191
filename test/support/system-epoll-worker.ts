import { parentPort, workerData } from 'node:worker_threads';
import { EPOLLIN } from '../../src/system/constants.ts';
import { Epoll } from '../../src/system/epoll.ts';
import { EventFd } from '../../src/system/eventfd.ts';

/** A thread that says it is there, blocks until it is signalled, and answers by a signal of its own. */
const { listenFd, answerFd } = workerData as { listenFd: number; answerFd: number };
const epoll = new Epoll(1);
epoll.add(listenFd, EPOLLIN, 1);
parentPort?.postMessage('ready');
if (epoll.wait(-1) === 1) new EventFd(answerFd).signal();
epoll.close();
