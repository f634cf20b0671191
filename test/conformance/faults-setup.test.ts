import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { InitiatorClient } from '../support/faults-initiator-client.ts';
import { inLaboratory, SAN } from '../support/faults-laboratory.ts';
import { NbdClient } from '../support/faults-nbd-client.ts';
import { command, describeIf, root } from '../support/requires.ts';

/** What may be wrong before the first frame: rights, names, paths. Every refusal says what to do. */
describeIf([root(), command('ip', 'iproute2'), command('vblade'), command('setpriv', 'util-linux')], 'setup', () => {
  test('an interface is refused, with the right that is missing, when packet sockets are not allowed', async () => {
    await inLaboratory(async (lab) => {
      lab.wire();
      const launcher = ['setpriv', '--bounding-set=-net_raw', '--inh-caps=-net_raw'];
      const process = lab.script('faults-initiator', lab.initiator, [SAN], launcher);
      const initiator = new InitiatorClient(process, lab.folder);
      const [{ name, state, reason }] = await initiator.interfaces();
      expect([name, state]).toEqual([SAN, 'refused']);
      expect(reason).toMatch(/open an AoE packet socket on interface \d+.*CAP_NET_RAW/);
      await initiator.notice('interface', /interface san0 is not used: .*CAP_NET_RAW/);
    });
  });

  test('an interface that does not exist is missing, and is used when it appears', async () => {
    await inLaboratory(async (lab) => {
      const initiator = lab.initiate(SAN, 'eth7');
      expect(await initiator.interfaces()).toMatchObject([
        { name: SAN, state: 'missing', reason: 'there is no interface of this name; it is taken up when it appears' },
        { name: 'eth7', state: 'missing' },
      ]);
      const attaching = initiator.attach('e10.3');
      expect((await initiator.state('e10.3', 'attaching', 1_000)).reason).toBe(
        'no target answers at this address on the allowed interfaces',
      );
      lab.wire();
      await lab.vblade('e10.3', lab.disk());
      expect((await attaching).state).toBe('up');
      expect(await initiator.interfaces()).toMatchObject([{ name: SAN, state: 'up', reason: '' }, { state: 'missing' }]);
    });
  });

  test('attaching fails, the other goes on and the target is free, when another initiator serves the socket path', async () => {
    await inLaboratory(async (lab) => {
      lab.wire();
      await lab.vblade('e10.3', lab.disk('one'));
      await lab.vblade('e10.4', lab.disk('two'));
      const [first, second] = [lab.initiate(SAN), lab.initiate(SAN)];
      const socketPath = first.socketPath('e10.3');
      await first.attachNow('e10.3');
      await expect(second.attachNow('e10.4', { socketPath })).rejects.toThrow(/e10\.3\.sock.*(in use|serves|already)/i);
      const client = await NbdClient.open(socketPath, 'e10.3');
      expect((await client.write(0, randomBytes(4096))).error).toBe(0);
      expect((await second.attachNow('e10.4')).state).toBe('up');
    });
  });

  test('attaching takes over a dead socket, and refuses any other file and a folder that is not there', async () => {
    await inLaboratory(async (lab) => {
      lab.wire();
      await lab.vblade('e10.3', lab.disk());
      const crashed = lab.initiate(SAN);
      await crashed.attachNow('e10.3');
      await crashed.process.end('SIGKILL');
      const initiator = lab.initiate(SAN);
      await initiator.attachNow('e10.3');
      const client = await NbdClient.open(initiator.socketPath('e10.3'), 'e10.3');
      expect((await client.read(0, 4096)).error).toBe(0);
      await client.close();
      await initiator.detach('e10.3');

      const file = join(lab.folder, 'file');
      writeFileSync(file, 'mine');
      await expect(initiator.attachNow('e10.3', { socketPath: file })).rejects.toThrow(/file/);
      const nowhere = join(lab.folder, 'nowhere', 'e10.3.sock');
      await expect(initiator.attachNow('e10.3', { socketPath: nowhere })).rejects.toThrow(/nowhere/);
      expect((await initiator.attachNow('e10.3')).state).toBe('up');
    });
  });

  test('attaching is refused at once, and says why, when what it asks for makes no sense', async () => {
    await inLaboratory(async (lab) => {
      lab.wire();
      await lab.vblade('e10.3', lab.disk());
      const initiator = lab.initiate(SAN);
      await initiator.attachNow('e10.3');
      await expect(initiator.attachNow('e10.3')).rejects.toThrow('e10.3 is attached already');
      for (const [options, words] of [
        [{ maxOutstanding: 0 }, 'maxOutstanding is 0; give 1 to 1024 frames'],
        [{ maxOutstanding: 1.5 }, 'maxOutstanding is 1.5; give 1 to 1024 frames'],
        [{ deadSeconds: -1 }, 'deadSeconds is -1; give seconds, or 0 to hold I/O for ever'],
      ] as const) {
        await expect(initiator.attachNow('e10.4', options)).rejects.toThrow(words);
      }
      await expect(initiator.detach('e10.9')).rejects.toThrow('e10.9 is not attached');
      await expect(initiator.setInterfaces('not/a/name')).rejects.toThrow("'not/a/name' is not an interface name or pattern");
      expect((await initiator.attachment('e10.3')).state).toBe('up');
    });
  });
});
