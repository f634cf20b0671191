import { existsSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import { expect, test } from '@jest/globals';
import { fioVerifyFor } from '../support/faults-clients.ts';
import { SAN } from '../support/faults-laboratory.ts';
import { NbdClient } from '../support/faults-nbd-client.ts';
import { within } from '../support/faults-process.ts';
import { withInitiators } from '../support/initiator-process.ts';
import { command, describeIf, root } from '../support/requires.ts';

/** Initiators beside each other, after each other, without rights, and with too many clients. */

const needs = [root(), command('ip', 'iproute2'), command('vblade'), command('fio')];
const BY_SOCKET = ['--interfaces', SAN, '--attach', 'nbd-socket'];
const CONNECTIONS = 200;
const CONNECTIONS_MAX = 256;
/** The kernel lets no more than the listener's backlog knock at the same time. */
const AT_ONCE = 40;

describeIf(needs, 'initiator processes', () => {
  test('a second initiator on the same socket is refused, and the first one goes on', async () =>
    withInitiators(async ({ lab, initiate, launch }) => {
      lab.wire();
      await lab.vblade('e10.3', lab.disk());
      const first = await initiate();
      const second = launch('i', BY_SOCKET);
      expect(await second.end()).toBe(1);
      expect(second.log.join(' ')).toMatch(
        /listen on unix socket .*EADDRINUSE.*another process serves this socket: stop it, or choose another path/,
      );
      expect(await first.must('attach', 'e10.3')).toMatch(/e10\.3\.sock$/);
    }));

  test('a second initiator in the same run directory is refused, and the first one goes on', async () =>
    withInitiators(async ({ lab, initiate, launch }) => {
      lab.wire();
      await lab.vblade('e10.3', lab.disk());
      const first = await initiate();
      const second = launch('j', [...BY_SOCKET, '--run-directory', dirname(first.socketPath)]);
      expect(await second.end()).toBe(1);
      expect(second.log.join(' ')).toMatch(/the run directory .* belongs to another initiator that runs; stop that one, or name/);
      expect(await first.must('attach', 'e10.3')).toMatch(/e10\.3\.sock$/);
    }));

  test('an initiator takes the socket over from one that was killed', async () =>
    withInitiators(async ({ lab, initiate, launch }) => {
      lab.wire();
      await lab.vblade('e10.3', lab.disk());
      const first = await initiate();
      const device = await first.must('attach', 'e10.3');
      const killedMs = performance.now();
      await first.process.end('SIGKILL');
      const { code, err } = await first.run('stat');
      expect([code, err]).toEqual([
        3,
        expect.stringContaining('(ECONNREFUSED): the initiator that made it has ended; start it again'),
      ]);
      const second = await launch('i', BY_SOCKET).ready();
      expect((await second.stat()).attachments).toEqual([]);
      expect(await second.must('attach', 'e10.3')).toBe(device);
      // What the first one had sent last may arrive for so long.
      expect(performance.now() - killedMs).toBeGreaterThanOrEqual(2_000);
    }));

  test("two initiators on one interface never take each other's answers", async () =>
    withInitiators(async ({ lab, launch }) => {
      lab.wire();
      await lab.vblade('e10.3', lab.disk('one'));
      await lab.vblade('e10.4', lab.disk('two'));
      const both = await Promise.all(['i', 'j'].map(async (name) => launch(name, BY_SOCKET).ready()));
      const uris = await Promise.all(
        both.map(async (initiator, index) => {
          const target = `e10.${String(3 + index)}`;
          return `nbd+unix:///${target}?socket=${await initiator.must('attach', target)}`;
        }),
      );
      const results = await Promise.all(uris.map(async (uri) => fioVerifyFor(4, uri, lab.folder)));
      for (const result of results) expect(result).toMatchObject({ error: 0, text: '' });
      for (const initiator of both) {
        // A frame that was sent again, because this machine was busy, may be answered twice; the other's answers would be thousands.
        const resent = await initiator.counter('aoe.framesResent');
        expect(await initiator.counter('aoe.unexpected')).toBeLessThanOrEqual(resent);
        expect(await initiator.counter('aoe.wrongSource')).toBe(0);
        expect(await initiator.counter('aoe.answers')).toBeGreaterThan(100);
      }
    }));

  test('SIGTERM ends it with 0 and takes its sockets away', async () =>
    withInitiators(async ({ lab, initiate }) => {
      lab.wire();
      await lab.vblade('e10.3', lab.disk());
      const initiator = await initiate();
      const device = await initiator.must('attach', 'e10.3');
      initiator.process.signal('SIGTERM');
      expect(await initiator.end()).toBe(0);
      expect([existsSync(initiator.socketPath), existsSync(device)]).toEqual([false, false]);
      expect(initiator.log).toContain('SIGTERM: stopping');
      expect(initiator.log.at(-1)).toBe('stopped');
    }));

  test('SIGTERM names a volume that is in use, and does not wait for it', async () =>
    withInitiators(async ({ lab, initiate }) => {
      lab.wire();
      await lab.vblade('e10.3', lab.disk());
      const initiator = await initiate();
      const client = await NbdClient.open(await initiator.must('attach', 'e10.3'), 'e10.3');
      initiator.process.signal('SIGTERM');
      expect(await initiator.end()).toBe(0);
      expect(initiator.log.join('\n')).toMatch(/e10\.3 is in use by an NBD connection .*: its I\/O fails from now on/);
      await expect(client.read(0, 4096)).rejects.toThrow('closed');
    }));

  test('without the right to open packet sockets it says what it needs', async () =>
    withInitiators(async ({ launch }) => {
      const initiator = launch('i', BY_SOCKET, ['setpriv', '--bounding-set=-net_raw', '--inh-caps=-net_raw']);
      expect(await initiator.end()).toBe(1);
      expect(initiator.log.join(' ')).toContain('the initiator needs CAP_NET_RAW for packet sockets; run it as root');
    }));

  test('a run directory whose sockets would have too long a path is refused', async () =>
    withInitiators(async ({ lab, launch }) => {
      const initiator = launch('i', [...BY_SOCKET, '--run-directory', join(lab.folder, 'x'.repeat(90))]);
      expect(await initiator.end()).toBe(1);
      expect(initiator.log.join(' ')).toMatch(/sockets in it need a path of at most \d+ bytes; choose a shorter one/);
    }));

  test(`${String(CONNECTIONS)} connections to one volume are all served, and too many are closed and not left hanging`, async () =>
    withInitiators(async ({ lab, initiate }) => {
      lab.wire();
      await lab.vblade('e10.3', lab.disk());
      const initiator = await initiate();
      const socketPath = await initiator.must('attach', 'e10.3');
      const clients: NbdClient[] = [];
      while (clients.length < CONNECTIONS) {
        clients.push(...(await Promise.all(Array.from({ length: AT_ONCE }, async () => NbdClient.open(socketPath, 'e10.3')))));
      }
      const contents = clients.map(() => randomBytes(4096));
      const written = await Promise.all(clients.map(async (client, index) => client.write(index * 4096, contents[index])));
      expect(written.filter(({ error }) => error !== 0)).toEqual([]);
      const read = await Promise.all(clients.map(async (client, index) => client.read(index * 4096, 4096)));
      expect(read.filter(({ data }, index) => !data.equals(contents[index]))).toEqual([]);
      expect((await initiator.stat()).attachments[0].connections).toBe(CONNECTIONS);

      const more: PromiseSettledResult<NbdClient>[] = [];
      while (more.length < 2 * AT_ONCE) {
        const knocking = Array.from({ length: AT_ONCE }, async () => NbdClient.open(socketPath, 'e10.3'));
        more.push(...(await within('connections beyond the limit', 10_000, Promise.allSettled(knocking))));
      }
      expect(more.filter(({ status }) => status === 'fulfilled')).toHaveLength(CONNECTIONS_MAX - CONNECTIONS);
      expect((await clients[0].read(0, 4096)).data.equals(contents[0])).toBe(true);
      for (const client of clients) client.socket.destroy();
      for (const outcome of more) if (outcome.status === 'fulfilled') outcome.value.socket.destroy();
    }));
});
