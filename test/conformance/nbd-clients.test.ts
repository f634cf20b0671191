import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
  closeSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { CLIENT_FLAGS, encodeCommand, encodeOption, infoRequest } from '../support/nbd-client.ts';
import type { MemoryServerOptions } from '../support/nbd-memory-server.ts';
import { command, device, root, testIf } from '../support/requires.ts';

const MIB = 1024 * 1024;
const SIZE_MIB = 64;
const run = promisify(execFile);

let folder: string;
let server: ChildProcess;
let socketPath: string;

function uri(exportName: string): string {
  return `nbd+unix:///${exportName}?socket=${socketPath}`;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'aoe-csi-nbd-'));
  socketPath = join(folder, 'nbd.sock');
  const sectors = (SIZE_MIB * MIB) / 512;
  const options: MemoryServerOptions = {
    socketPath,
    exports: [
      { name: 'e10.3', sectors },
      { name: 'e10.4', sectors: 24_680, readOnly: true },
    ],
    chunks: 256,
    chunksMax: 96,
  };
  const program = fileURLToPath(new URL('../support/nbd-memory-server.js', import.meta.url));
  server = spawn(process.execPath, [program, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'inherit'] });
  if (server.stdout === null) throw new Error('the server has no output to wait for');
  await once(server.stdout, 'data');
});

afterAll(async () => {
  // A server that died in the middle is worth more than the clients' complaints about it.
  expect([server.exitCode, server.signalCode]).toEqual([null, null]);
  server.kill();
  await once(server, 'exit');
  rmSync(folder, { recursive: true });
});

const libnbd = (name: string) => command(name, 'libnbd-bin');
const qemuUtils = (name: string) => command(name, 'qemu-utils');

testIf([libnbd('nbdinfo')], 'nbdinfo shows size, flags and block sizes', async () => {
  const { stdout } = await run('nbdinfo', ['--json', uri('e10.3')]);
  const information = JSON.parse(stdout);
  expect(information.protocol).toBe('newstyle-fixed');
  expect(information.exports[0]).toMatchObject({
    'export-name': 'e10.3',
    'export-size': SIZE_MIB * MIB,
    is_read_only: false,
    can_flush: true,
    can_fua: true,
    can_multi_conn: true,
    can_trim: true,
    can_zero: true,
    can_df: false,
    can_cache: false,
    block_size_minimum: 512,
    block_size_preferred: 4096,
    block_size_maximum: 96 * 65_536,
  });
});

testIf([libnbd('nbdinfo')], 'nbdinfo --list shows every export', async () => {
  const { stdout } = await run('nbdinfo', ['--list', '--json', `nbd+unix://?socket=${socketPath}`]);
  const sizes = JSON.parse(stdout).exports.map((each: Record<string, unknown>) => [
    each['export-name'],
    each['export-size'],
    each['is_read_only'],
  ]);
  expect(sizes).toEqual([
    ['e10.3', SIZE_MIB * MIB, false],
    ['e10.4', 24_680 * 512, true],
  ]);
});

testIf([libnbd('nbdinfo'), qemuUtils('qemu-img')], 'clients say why an export is refused', async () => {
  await expect(run('nbdinfo', [uri('e9.9')])).rejects.toThrow('No such file or directory for export: e9.9');
  await expect(run('qemu-img', ['info', uri('e9.9')])).rejects.toThrow('no export "e9.9"; LIST shows what is attached');
});

testIf([libnbd('nbdcopy')], 'nbdcopy brings back what it wrote', async () => {
  const there = join(folder, 'there.img');
  const back = join(folder, 'back.img');
  const content = randomBytes(SIZE_MIB * MIB);
  // A hole and zeroes in it, so that trims and zeroes are used, too.
  content.fill(0, 5 * MIB, 21 * MIB);
  writeFileSync(there, content);
  await run('nbdcopy', ['--flush', there, uri('e10.3')]);
  await run('nbdcopy', [uri('e10.3'), back]);
  expect(sha256(readFileSync(back))).toBe(sha256(content));
  await run('nbdcopy', ['--synchronous', '--request-size=4194304', there, uri('e10.3')]);
  await run('nbdcopy', ['--connections=4', '--requests=64', '--request-size=65536', uri('e10.3'), back]);
  expect(sha256(readFileSync(back))).toBe(sha256(content));
});

const FIO_JOBS = [
  ['random writes of many sizes', ['--rw=randwrite', '--bsrange=512-256k', '--iodepth=32', '--fsync=16']],
  ['4 KiB writes and trims at depth 64', ['--rw=randwrite', '--bs=4k', '--iodepth=64']],
  ['sequential 1 MiB writes', ['--rw=write', '--bs=1m', '--iodepth=16']],
] as const;

for (const [what, words] of FIO_JOBS) {
  testIf(
    [command('fio')],
    `fio reads back and verifies ${what}`,
    async () => {
      const job = ['--name=verify', '--ioengine=nbd', `--uri=${uri('e10.3')}`, '--size=48m', '--verify=crc32c', '--randrepeat=1'];
      const { stdout } = await run('fio', [...job, ...words, '--verify_fatal=1', '--output-format=json'], { cwd: folder });
      const [result] = JSON.parse(stdout.slice(stdout.indexOf('{'))).jobs;
      expect([result.error, result.write.io_bytes, result.read.io_bytes]).toEqual([0, 48 * MIB, 48 * MIB]);
    },
    60_000,
  );
}

testIf([qemuUtils('qemu-io')], 'qemu-io writes, zeroes, discards, flushes and verifies patterns', async () => {
  const script = [
    'write -P 0xab 0 1M',
    'write -f -P 0xcd 4096 512',
    'aio_write -P 0x11 2M 3M',
    'aio_write -P 0x22 8M 64k',
    'aio_flush',
    'write -z 16k 16k',
    'write -z -u 64k 64k',
    'discard 512k 64k',
    'flush',
    'read -P 0xab 0 4k',
    'read -P 0xcd 4096 512',
    'read -P 0xab 4608 11776',
    'read -P 0 16k 16k',
    'read -P 0xab 32k 32k',
    'read -P 0 64k 64k',
    'read -P 0x11 2M 3M',
    'read -P 0x22 8M 64k',
  ];
  const words = script.flatMap((line) => ['-c', line]);
  const { stdout, stderr } = await run('qemu-io', ['-f', 'raw', ...words, uri('e10.3')]);
  expect(stdout + stderr).not.toMatch(/failed|error|mismatch/i);
  expect(stdout.match(/^(wrote|read|discard)/gm)?.length).toBe(script.filter((line) => !/flush/.test(line)).length);
});

testIf([qemuUtils('qemu-io')], 'qemu-io may not write when the export is read-only', async () => {
  const { stdout } = await run('qemu-io', ['-r', '-f', 'raw', '-c', 'read -P 0 0 64k', uri('e10.4')]);
  expect(stdout).toContain('read 65536/65536');
  await expect(run('qemu-io', ['-f', 'raw', '-c', 'write 0 64k', uri('e10.4')])).rejects.toThrow(
    /read.?only|Permission|Operation not permitted/i,
  );
});

testIf(
  [qemuUtils('qemu-img')],
  'qemu-img converts there and back and compares',
  async () => {
    const image = join(folder, 'image.raw');
    const back = join(folder, 'image.qcow2');
    const content = randomBytes(SIZE_MIB * MIB);
    content.fill(0, 30 * MIB, 40 * MIB);
    writeFileSync(image, content);
    await run('qemu-img', ['convert', '-n', '-f', 'raw', '-O', 'raw', image, uri('e10.3')]);
    await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', uri('e10.3'), back]);
    const { stdout } = await run('qemu-img', ['compare', '-f', 'raw', '-F', 'qcow2', image, back]);
    expect(stdout).toContain('Images are identical');
  },
  60_000,
);

testIf([root(), device('/dev/fuse'), libnbd('nbdfuse')], 'nbdfuse serves the export as a file', async () => {
  const mountPoint = join(folder, 'fuse');
  mkdirSync(mountPoint);
  const file = join(mountPoint, 'nbd');
  const fuse = spawn('nbdfuse', [mountPoint, uri('e10.3')], { stdio: ['ignore', 'ignore', 'inherit'] });
  try {
    for (let waits = 0; waits < 100 && !existsSync(file); waits++) await sleep(50);
    expect(statSync(file).size).toBe(SIZE_MIB * MIB);
    const content = randomBytes(3 * MIB + 1024);
    const fd = openSync(file, 'r+');
    writeSync(fd, content, 0, content.length, 7 * MIB - 512);
    const back = Buffer.alloc(content.length);
    readSync(fd, back, 0, back.length, 7 * MIB - 512);
    closeSync(fd);
    expect(sha256(back)).toBe(sha256(content));
  } finally {
    await run('umount', [mountPoint]);
    if (fuse.exitCode === null) await once(fuse, 'exit');
  }
});

test('a client that goes away in the middle of a write leaves the server to the others', async () => {
  const go = encodeOption(7, infoRequest('e10.3'));
  for (let round = 0; round < 20; round++) {
    const write = encodeCommand({ type: 1, cookie: 1n, offset: 0n, length: 4 * MIB, data: randomBytes(round * 200_000) });
    const socket = connect(socketPath);
    await once(socket, 'data');
    socket.write(Buffer.concat([CLIENT_FLAGS, go]));
    await once(socket, 'data');
    socket.write(write, () => socket.destroy());
    await once(socket, 'close');
  }
  // All chunks are back: a connection can have its whole share again.
  const reader = connect(socketPath);
  await once(reader, 'data');
  reader.write(Buffer.concat([CLIENT_FLAGS, go]));
  await once(reader, 'data');
  const share = 96 * 65_536;
  reader.write(encodeCommand({ type: 0, cookie: 2n, offset: 0n, length: share }));
  let receivedBytes = 0;
  for await (const piece of reader) {
    receivedBytes += (piece as Buffer).length;
    if (receivedBytes >= 16 + share) break;
  }
  expect(receivedBytes).toBe(16 + share);
  reader.destroy();
});
