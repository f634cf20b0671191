import { existsSync, readFileSync, statSync, truncateSync, writeFileSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { parseMac } from '../../src/aoe/address.ts';
import { writeFlushRequest, writeIdentifyRequest, writeReadRequest } from '../../src/aoe/ata.ts';
import {
  COMMAND_CONFIG,
  CONFIG_READ,
  CONFIG_SET,
  MASK_DIRECTIVE_ADD,
  RESERVE_READ,
  RESERVE_SET,
  SHELF_BROADCAST,
  SLOT_BROADCAST,
} from '../../src/aoe/constants.ts';
import { SHELF, SLOT, VERSION_FLAGS } from '../../src/aoe/layout.ts';
import { SAN, TARGET, TARGET_MAC } from '../support/faults-laboratory.ts';
import { eventually, type TestProcess } from '../support/faults-process.ts';
import { command, describeIf, root, testIf, type Requirement } from '../support/requires.ts';
import { interfaceKind } from '../support/interface-kind.ts';
import { configuring, TargetProber, writing } from '../support/target-prober-client.ts';
import { DISK_SECTORS, pathIn, refusal, startTarget, stateOf, targetWords, withProber } from '../support/target-process.ts';

/** The program `aoe-csi target` on a real wire, asked frame by frame. */

const needs = [root(), command('ip', 'iproute2')];
/**
 * Used where it is installed, and never installed for a test: Debian's package loads the kernel's aoe driver at the next start
 * of the machine, which then broadcasts on every interface.
 */
function aoetools(): Requirement {
  const missing = existsSync('/usr/sbin/aoe-sancheck') ? undefined : 'needs aoe-sancheck and aoeping of the package aoetools';
  return { missing, certainInCi: false };
}

const STRANGER = parseMac('02:00:00:00:0c:01');
const LOG_MS = 3_000;

function pattern(seed: number, sizeBytes = 1024): Buffer {
  return Buffer.from(Uint8Array.from({ length: sizeBytes }, (_, index) => (index * 31 + seed) % 251));
}

async function logged(target: TestProcess, text: string): Promise<string> {
  return eventually(`the target to log "${text}"`, LOG_MS, () => target.errors.find((line) => line.includes(text)));
}

describeIf(needs, 'aoe-csi target', () => {
  test('announces its targets when it starts, more than once, as version 1', async () =>
    withProber(1500, async ({ laboratory, prober, disk }) => {
      await startTarget(laboratory, `e10.3=${disk}`, `e10.4=${laboratory.disk('other')}`);
      await eventually('four announcements', 3_000, () => prober.announcements.length >= 4);
      for (const { view } of prober.announcements)
        expect([view.getUint8(VERSION_FLAGS), view.getUint16(SHELF)]).toEqual([0x18, 10]);
      expect(new Set(prober.announcements.map(({ view }) => view.getUint8(SLOT)))).toEqual(new Set([3, 4]));
    }));

  test('answers one wildcard query for each of its targets', async () =>
    withProber(1500, async ({ laboratory, prober, disk }) => {
      await startTarget(laboratory, `e10.3=${disk}`, `e10.4=${laboratory.disk('a')}`, `e11.3=${laboratory.disk('b')}`);
      const query = { command: COMMAND_CONFIG, shelf: SHELF_BROADCAST, slot: SLOT_BROADCAST };
      const everything = await prober.askAll(configuring(CONFIG_READ), { ...query, answers: 3 });
      expect(everything.map(({ view }) => `${view.getUint16(SHELF)}.${view.getUint8(SLOT)}`)).toEqual(['10.3', '10.4', '11.3']);
      const slots = await prober.askAll(configuring(CONFIG_READ), { ...query, slot: 3, answers: 2 });
      expect(slots.map(({ view }) => view.getUint16(SHELF))).toEqual([10, 11]);
      expect(await prober.ignored((view) => writeIdentifyRequest(view, 0), { shelf: SHELF_BROADCAST })).toBe(true);
    }));

  test('writes reach the file, reads come from it, a flush is done', async () =>
    withProber(1500, async ({ laboratory, prober, disk }) => {
      await startTarget(laboratory, `e10.3=${disk}`);
      const data = pattern(1);
      expect((await prober.write(1022, data)).outcome).toBe('40');
      expect(
        readFileSync(disk)
          .subarray(1022 * 512)
          .equals(data),
      ).toBe(true);
      expect((await prober.read(1022, 2)).data.equals(data)).toBe(true);
      expect((await prober.flush(true)).outcome).toBe('40');
      expect((await prober.flush(false)).outcome).toBe('40');
      expect((await prober.read(1023, 2)).outcome).toBe('41/10');
      expect(prober.malformed).toEqual([]);
    }));

  test('two targets in one process keep their sectors apart', async () =>
    withProber(1500, async ({ laboratory, prober, disk }) => {
      await startTarget(laboratory, `e10.3=${disk}`, `e10.4=${laboratory.disk('other')}`);
      await prober.write(0, pattern(3));
      await prober.write(0, pattern(4), { slot: 4 });
      expect((await prober.read(0, 2)).data.equals(pattern(3))).toBe(true);
      expect((await prober.read(0, 2, { slot: 4 })).data.equals(pattern(4))).toBe(true);
    }));

  test('the MTU decides how much a frame carries, also when it changes', async () =>
    withProber(9000, async ({ laboratory, prober, disk }) => {
      const target = await startTarget(laboratory, `e10.3=${disk}`);
      const sectors = async (): Promise<number | undefined> => (await prober.config(CONFIG_READ)).config?.sectorsPerFrame;
      expect(await sectors()).toBe(17);
      const data = pattern(9, 17 * 512);
      expect((await prober.write(7, data)).outcome).toBe('40');
      expect((await prober.read(7, 17)).data.equals(data)).toBe(true);
      expect((await prober.read(0, 18)).outcome).toBe('AoE 2');
      laboratory.target.ip(`link set ${TARGET} mtu 1500`);
      await logged(target, 'has MTU 1500: 2 sectors per frame');
      expect(await sectors()).toBe(2);
      expect((await prober.read(0, 17)).outcome).toBe('AoE 2');
      expect((await prober.read(0, 2)).outcome).toBe('40');
    }));

  test('--sectors caps what a frame carries', async () =>
    withProber(9000, async ({ laboratory, prober, disk }) => {
      await startTarget(laboratory, '--sectors', '8', '--buffers', '5', `e10.3=${disk}`);
      expect((await prober.config(CONFIG_READ)).config).toMatchObject({ sectorsPerFrame: 8, bufferCount: 5 });
      expect((await prober.read(0, 9)).outcome).toBe('AoE 2');
    }));

  test('claims, fences and the serial survive a kill', async () =>
    withProber(1500, async ({ laboratory, prober, disk }) => {
      const before = await startTarget(laboratory, `e10.3=${disk}`);
      const serial = (await prober.identify()).identity?.serial;
      await prober.config(CONFIG_SET, 'aoe-csi/1;cluster');
      await prober.reserve(RESERVE_SET, [STRANGER], { source: STRANGER });
      await prober.mask([prober.mac, STRANGER].map((mac) => ({ directive: MASK_DIRECTIVE_ADD, mac })));
      await before.end('SIGKILL');
      await startTarget(laboratory, `e10.3=${disk}`);
      expect(Buffer.from((await prober.config(CONFIG_READ)).config?.string ?? []).toString()).toBe('aoe-csi/1;cluster');
      expect((await prober.reserve(RESERVE_READ)).reserve?.macs).toEqual([STRANGER]);
      expect((await prober.read(0, 1)).outcome).toBe('AoE 6');
      expect((await prober.identify()).identity?.serial).toBe(serial);
      expect(await prober.ignored(configuring(CONFIG_READ), { command: COMMAND_CONFIG, source: STRANGER + 1 })).toBe(true);
    }));

  test('--forget-state forgets claims and fences, and keeps the serial', async () =>
    withProber(1500, async ({ laboratory, prober, disk }) => {
      const words = ['--forget-state', `e10.3=${disk}`];
      const before = await startTarget(laboratory, ...words);
      const serial = (await prober.identify()).identity?.serial;
      await prober.config(CONFIG_SET, 'mine');
      await prober.reserve(RESERVE_SET, [STRANGER]);
      await before.end();
      await startTarget(laboratory, ...words);
      expect((await prober.config(CONFIG_READ)).config?.string).toHaveLength(0);
      expect((await prober.read(0, 1)).outcome).toBe('40');
      expect((await prober.identify()).identity?.serial).toBe(serial);
      expect(() => statSync(stateOf(disk))).toThrow('ENOENT');
    }));

  test('a file that grows is seen at the next IDENTIFY, and its new sectors work', async () =>
    withProber(1500, async ({ laboratory, prober, disk }) => {
      const target = await startTarget(laboratory, `e10.3=${disk}`);
      expect((await prober.identify()).identity?.sectors).toBe(DISK_SECTORS);
      truncateSync(disk, 2 * DISK_SECTORS * 512);
      expect((await prober.read(DISK_SECTORS, 1)).outcome).toBe('41/10');
      expect((await prober.identify()).identity?.sectors).toBe(2 * DISK_SECTORS);
      expect((await prober.write(2 * DISK_SECTORS - 2, pattern(5))).outcome).toBe('40');
      await logged(target, `went from ${DISK_SECTORS} to ${2 * DISK_SECTORS} sectors`);
    }));

  test('trim gives space back, and the sectors read as zeros', async () =>
    withProber(1500, async ({ laboratory, prober }) => {
      const disk = pathIn(laboratory, 'full');
      writeFileSync(disk, Buffer.alloc(1024 * 1024, 0xaa));
      await startTarget(laboratory, `e10.3=${disk}`);
      expect((await prober.identify()).identity).toMatchObject({ trim: true, readZeroAfterTrim: true });
      const before = statSync(disk).blocks;
      expect((await prober.trim(1, 1999)).outcome).toBe('40');
      await prober.flush();
      expect(statSync(disk).blocks).toBeLessThan(before / 8);
      expect((await prober.read(0, 2)).data.equals(Buffer.concat([Buffer.alloc(512, 0xaa), Buffer.alloc(512)]))).toBe(true);
      expect((await prober.trim(2047, 2)).outcome).toBe('41/10');
    }));

  test('a full file system fails writes by name, and nothing else', async () =>
    withProber(1500, async ({ laboratory, prober }) => {
      const folder = laboratory.tmpfs(1024 * 1024);
      const [disk, filler] = [`${folder}/disk`, `${folder}/filler`];
      writeFileSync(disk, '');
      truncateSync(disk, 8 * 1024 * 1024);
      const target = await startTarget(laboratory, `e10.3=${disk}`);
      expect((await prober.write(0, pattern(6))).outcome).toBe('40');
      expect(() => writeFileSync(filler, Buffer.alloc(4 * 1024 * 1024))).toThrow('ENOSPC');
      expect((await prober.write(4096, pattern(6))).outcome).toBe('41/04');
      expect(await logged(target, 'ENOSPC')).toContain('its file system is full: make room there');
      expect((await prober.read(0, 2)).data.equals(pattern(6))).toBe(true);
      expect((await prober.config(CONFIG_SET, 'mine')).aoeError).toBe(3);
      rmSync(filler);
      expect((await prober.write(4096, pattern(6))).outcome).toBe('40');
      expect((await prober.config(CONFIG_SET, 'mine')).aoeError).toBe(0);
    }));

  test('a read-only export aborts writes and trims', async () =>
    withProber(1500, async ({ laboratory, prober, disk }) => {
      await startTarget(laboratory, `e10.3=${disk},ro`);
      expect((await prober.write(0, pattern(1))).outcome).toBe('41/04');
      expect((await prober.trim(0, 8)).outcome).toBe('41/04');
      expect((await prober.read(0, 1)).outcome).toBe('40');
    }));

  test('--mask is silence for everybody else', async () =>
    withProber(1500, async ({ laboratory, prober, disk }) => {
      await startTarget(laboratory, '--mask', '02:00:00:00:0c:01', `e10.3=${disk}`);
      expect(await prober.ignored(configuring(CONFIG_READ), { command: COMMAND_CONFIG })).toBe(true);
      expect((await prober.read(0, 1, { source: STRANGER })).outcome).toBe('40');
      // It announces itself to those who may know it.
      expect(prober.announcements.every(({ bytes }) => bytes.subarray(0, 6).toString('hex') === '020000000c01')).toBe(true);
    }));

  test('survives its interface going down and up, and announces itself again', async () =>
    withProber(1500, async ({ laboratory, prober, disk }) => {
      const target = await startTarget(laboratory, `e10.3=${disk}`);
      laboratory.target.ip(`link set ${TARGET} down`);
      await logged(target, `interface ${TARGET} is down`);
      const before = prober.announcements.length;
      laboratory.target.ip(`link set ${TARGET} up`);
      await eventually('an announcement', 3_000, () => prober.announcements.length > before);
      expect((await prober.read(0, 1)).outcome).toBe('40');
      expect(target.running).toBe(true);
    }));

  test('takes its interface up again when it was deleted and comes back', async () =>
    withProber(1500, async ({ laboratory, prober, disk }) => {
      const target = await startTarget(laboratory, `e10.3=${disk}`);
      await prober.process.end();
      laboratory.target.ip(`link delete ${TARGET}`);
      await logged(target, `interface ${TARGET} has gone`);
      laboratory.wire();
      const again = await new TargetProber(laboratory.script('target-prober', laboratory.initiator, [SAN])).ready();
      expect((await again.read(0, 1)).outcome).toBe('40');
      expect(target.running).toBe(true);
    }));

  test('serves one target on two interfaces with one state', async () =>
    withProber(1500, async ({ laboratory, prober, disk }) => {
      laboratory.wire(
        9000,
        { host: laboratory.initiator, name: 'san1' },
        { host: laboratory.target, name: 'tgt1', mac: '02:00:00:00:0b:02' },
      );
      await startTarget(laboratory, '--interfaces', 'tgt1', `e10.3=${disk}`);
      const second = await new TargetProber(laboratory.script('target-prober', laboratory.initiator, ['san1'])).ready();
      await prober.config(CONFIG_SET, 'mine');
      const answer = await second.config(CONFIG_READ);
      expect(answer.config).toMatchObject({ sectorsPerFrame: 17, string: new Uint8Array(Buffer.from('mine')) });
      expect(answer.bytes.subarray(6, 12).toString('hex')).toBe('020000000b02');
      await prober.write(0, pattern(8));
      expect((await second.read(0, 2)).data.equals(pattern(8))).toBe(true);
    }));

  test('ends with 0 on SIGTERM and on SIGINT, and says what it did', async () =>
    withProber(1500, async ({ laboratory, prober, disk }) => {
      for (const signal of ['SIGTERM', 'SIGINT'] as const) {
        const target = await startTarget(laboratory, `e10.3=${disk}`);
        await prober.read(0, 1);
        await target.end(signal);
        expect(target.child.exitCode).toBe(0);
        expect(target.errors.join()).toContain('1 frames received');
      }
    }));

  testIf([...needs, aoetools()], 'is found by aoetools', async () =>
    withProber(9000, async ({ laboratory, disk }) => {
      await startTarget(laboratory, `e10.3=${disk}`);
      const sancheck = laboratory.start('aoe-sancheck', laboratory.initiator, 'aoe-sancheck', '-v');
      const ping = laboratory.start('aoeping', laboratory.initiator, 'aoeping', '-I', '10', '3', SAN);
      await eventually('aoeping to end', 3_000, () => !ping.running);
      expect([ping.child.exitCode, ping.lines.join()]).toEqual([0, expect.stringContaining('aoe-csi target')]);
      await eventually('aoe-sancheck to end', 15_000, () => !sancheck.running);
      expect(sancheck.lines).toContain(`e10.3 ${TARGET_MAC.replaceAll(':', '')} 17`);
    }),
  );
});

describeIf(needs, 'aoe-csi target, durability', () => {
  test('without a volatile cache what was acknowledged survives a kill', async () =>
    withProber(1500, async ({ laboratory, prober, disk }) => {
      const target = await startTarget(laboratory, `e10.3=${disk}`);
      await prober.write(0, pattern(1));
      await target.end('SIGKILL');
      expect(readFileSync(disk).subarray(0, 1024).equals(pattern(1))).toBe(true);
    }));

  test('with one, what was flushed survives a kill, and the rest does not', async () =>
    withProber(1500, async ({ laboratory, prober, disk }) => {
      const target = await startTarget(laboratory, '--volatile-cache', `e10.3=${disk}`);
      await prober.write(0, pattern(1));
      await prober.flush();
      await prober.write(1, pattern(2));
      await prober.write(8, pattern(2));
      expect((await prober.read(0, 2)).data.equals(Buffer.concat([pattern(1, 512), pattern(2, 512)]))).toBe(true);
      await target.end('SIGKILL');
      expect(readFileSync(disk).subarray(0, 1024).equals(pattern(1))).toBe(true);
      expect(
        readFileSync(disk)
          .subarray(8 * 512, 10 * 512)
          .equals(Buffer.alloc(1024)),
      ).toBe(true);
    }));

  test('SIGUSR1 is a power failure without an outage', async () =>
    withProber(1500, async ({ laboratory, prober, disk }) => {
      const target = await startTarget(laboratory, '--volatile-cache', `e10.3=${disk}`);
      await prober.write(0, pattern(1));
      await prober.flush();
      await prober.write(0, pattern(2));
      target.signal('SIGUSR1');
      await logged(target, 'lost 2 sectors that were not flushed');
      expect((await prober.read(0, 2)).data.equals(pattern(1))).toBe(true);
    }));
});

describeIf(needs, 'aoe-csi target, faults', () => {
  const read = (view: DataView): void => writeReadRequest(view, 0, 0, 2, true);

  test('--drop-large loses long frames in both directions, and nothing else', async () =>
    withProber(9000, async ({ laboratory, prober, disk }) => {
      await startTarget(laboratory, '--drop-large', '1514', `e10.3=${disk}`);
      expect((await prober.config(CONFIG_READ)).config?.sectorsPerFrame).toBe(17);
      expect((await prober.read(0, 2)).outcome).toBe('40');
      expect(await prober.ignored((view) => writeReadRequest(view, 0, 0, 3, true))).toBe(true);
      expect(await prober.ignored(writing(0, pattern(7, 1536)))).toBe(true);
      expect(readFileSync(disk).subarray(0, 512).equals(Buffer.alloc(512))).toBe(true);
    }));

  test('--delay carries requests out later', async () =>
    withProber(1500, async ({ laboratory, prober, disk }) => {
      await startTarget(laboratory, '--delay', '150', `e10.3=${disk}`);
      const tag = prober.send(writing(0, pattern(1)));
      const startedMs = performance.now();
      await sleep(75);
      expect(readFileSync(disk).subarray(0, 1024).equals(pattern(1))).toBe(false);
      await eventually('an answer', 1_000, () => prober.answersTo(tag).length === 1);
      expect(performance.now() - startedMs).toBeGreaterThan(140);
      expect(readFileSync(disk).subarray(0, 1024).equals(pattern(1))).toBe(true);
    }));

  test('--slow lets commands wait for each other', async () =>
    withProber(1500, async ({ laboratory, prober, disk }) => {
      await startTarget(laboratory, '--slow', '40', `e10.3=${disk}`);
      const startedMs = performance.now();
      const tags = [read, read, read, read, read].map((write) => prober.send(write));
      expect((await prober.config(CONFIG_READ)).aoeError).toBe(0);
      // Queries don't stand in the queue of the disk.
      expect(tags.filter((tag) => prober.answersTo(tag).length === 1).length).toBeLessThan(5);
      await eventually('five answers', 2_000, () => tags.every((tag) => prober.answersTo(tag).length === 1));
      expect(performance.now() - startedMs).toBeGreaterThan(195);
    }));

  test('no more requests wait than the buffer count says', async () =>
    withProber(1500, async ({ laboratory, prober, disk }) => {
      await startTarget(laboratory, '--buffers', '4', '--delay', '200', `e10.3=${disk}`);
      const tags = Array.from({ length: 10 }, () => prober.send(read));
      await sleep(600);
      expect(tags.filter((tag) => prober.answersTo(tag).length === 1)).toHaveLength(4);
      expect((await prober.read(0, 1)).outcome).toBe('40');
    }));

  test('--duplicate carries requests out, and answers them, twice', async () =>
    withProber(1500, async ({ laboratory, prober, disk }) => {
      await startTarget(laboratory, '--duplicate', '1', `e10.3=${disk}`);
      expect(await prober.askAll(read, { answers: 2 })).toHaveLength(2);
    }));

  test('--loss loses frames', async () =>
    withProber(1500, async ({ laboratory, prober, disk }) => {
      await startTarget(laboratory, '--loss', '0.3', '--seed', '7', `e10.3=${disk}`);
      const tags = Array.from({ length: 100 }, () => prober.send(read));
      await sleep(300);
      // Half of them: 0.7 × 0.7.
      const answered = tags.filter((tag) => prober.answersTo(tag).length === 1).length;
      expect(answered).toBeGreaterThan(25);
      expect(answered).toBeLessThan(75);
    }));

  test.each([
    ['1', '41/40'],
    ['1:abrt', '41/04'],
    ['1:idnf', '41/10'],
    ['1:unavailable', 'AoE 3'],
  ])('--error %s answers ATA commands with %s, IDENTIFY excepted', async (option, outcome) =>
    withProber(1500, async ({ laboratory, prober, disk }) => {
      await startTarget(laboratory, '--error', option, `e10.3=${disk}`);
      expect((await prober.read(0, 1)).outcome).toBe(outcome);
      expect((await prober.ask((view) => writeFlushRequest(view, 0, true))).outcome).toBe(outcome);
      expect((await prober.write(0, pattern(1))).outcome).toBe(outcome);
      expect((await prober.identify()).identity?.sectors).toBe(DISK_SECTORS);
      expect(readFileSync(disk).subarray(0, 1024).equals(Buffer.alloc(1024))).toBe(true);
    }),
  );
});

describeIf(needs, 'aoe-csi target, refusals', () => {
  test('says what to do when it can not serve what it was asked to', async () =>
    withProber(1500, async ({ laboratory, disk }) => {
      const on = ['--interfaces', TARGET];
      expect(await refusal(laboratory, `e10.3=${disk}`)).toMatch(/^2: .*name at least one with --interfaces/);
      expect(await refusal(laboratory, ...on)).toMatch(/^2: .*missing required argument/);
      expect(await refusal(laboratory, ...on, disk)).toMatch(/^2: .*write <address>=<path>, for example e10\.3=disk\.img/);
      expect(await refusal(laboratory, ...on, `e10.255=${disk}`)).toMatch(/^2: .*slots are 0 to 254/);
      expect(await refusal(laboratory, ...on, `e10.3=${disk}`, `e10.3=${disk}`)).toMatch(/^2: .*give each its own/);
      expect(await refusal(laboratory, ...on, 'e10.3=/dev/null')).toMatch(/^2: .*add --state-dir, or --forget-state/);
      expect(await refusal(laboratory, ...on, '--loss', '2', `e10.3=${disk}`)).toMatch(/^2: .*Give a probability/);
      expect(await refusal(laboratory, '--interfaces', 'nope0', `e10.3=${disk}`)).toMatch(
        /^1: .*none of this name here; there are .*tgt0/,
      );
      expect(await refusal(laboratory, ...on, `e10.3=${disk}.gone`)).toMatch(/^1: .*ENOENT; create it first/);
      expect(await refusal(laboratory, ...on, '--forget-state', 'e10.3=/dev/null')).toMatch(
        /^1: .*neither a file nor a block device/,
      );
      const small = laboratory.disk('small', 511);
      expect(await refusal(laboratory, ...on, `e10.3=${small}`)).toMatch(/^1: .*511 bytes, less than a sector/);
    }));

  testIf([interfaceKind('bridge')], 'refuses interfaces from which no frame would come', async () =>
    withProber(1500, async ({ laboratory, disk }) => {
      laboratory.target.ip('link add name bridge0 type bridge');
      laboratory.target.ip(`link set ${TARGET} master bridge0`);
      const port = await refusal(laboratory, '--interfaces', TARGET, `e10.3=${disk}`);
      expect(port).toMatch(/^1: .*it is a port of a bridge, which takes its frames; serve on that instead/);
    }),
  );

  test('says what it lacks when it may not open packet sockets', async () =>
    withProber(1500, async ({ laboratory, disk }) => {
      const words = targetWords('--interfaces', TARGET, `e10.3=${disk}`);
      const target = laboratory.start('target', laboratory.target, 'setpriv', '--bounding-set', '-net_raw', ...words);
      await eventually('the target to give up', 5_000, () => !target.running);
      expect(target.child.exitCode).toBe(1);
      expect(target.errors.join()).toMatch(/cannot open an AoE packet socket on interface \d+: .*EPERM.*CAP_NET_RAW/);
    }));

  test('refuses a file that another target writes, and state that it does not understand', async () =>
    withProber(1500, async ({ laboratory, disk }) => {
      await startTarget(laboratory, `e10.3=${disk}`);
      const on = ['--interfaces', TARGET];
      expect(await refusal(laboratory, ...on, `e10.4=${disk}`)).toMatch(/^1: .*another process has locked it/);
      const other = laboratory.disk('other');
      for (const text of [
        '',
        '{}',
        '{"version":1}',
        '[]',
        JSON.stringify({ version: 1, serial: 'a', configString: 'AA==', mask: 'x' }),
      ]) {
        writeFileSync(stateOf(other), text);
        expect(await refusal(laboratory, ...on, `e10.4=${other}`)).toMatch(
          /^1: .*cannot use the state in .*other\.aoe: .*repair it, or delete it/,
        );
      }
    }));
});
