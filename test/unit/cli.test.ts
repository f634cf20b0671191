import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { formatTable } from '../../src/cli/table.ts';
import { aoeCsi } from '../support/initiator-process.ts';

/** The command line without an initiator: help, usage, exit codes. */

const CLIENTS = ['discover', 'attach', 'detach', 'grow', 'stat', 'interfaces', 'err'];
const VERBS = ['initiator', 'target', 'nodes', 'accept', 'release', 'import', ...CLIENTS, 'csi', 'demo'];

let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'aoe-csi-cli-'));
});

afterAll(() => rmSync(folder, { recursive: true }));

describe('aoe-csi', () => {
  test.each(VERBS)('%s --help has examples and exit codes', async (verb) => {
    const { code, out, err } = await aoeCsi(verb, '--help');
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(new RegExp(`^Usage: aoe-csi ${verb} `));
    expect(out).toContain(`aoe-csi ${verb}`);
    expect(out).toMatch(/\nExamples:\n {2}/);
    expect(out).toMatch(/\nExit codes:\n {2}0 {2}/);
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(130);
  });

  test('--help names every command', async () => {
    const { out } = await aoeCsi('--help');
    for (const verb of VERBS) expect(out).toMatch(new RegExp(`^ {2}${verb} +\\w`, 'm'));
  });

  test('help attach is attach --help', async () => {
    expect((await aoeCsi('help', 'attach')).out).toBe((await aoeCsi('attach', '--help')).out);
  });

  test('--version is that of package.json', async () => {
    expect((await aoeCsi('--version')).out).toMatch(/^\d+\.\d+\.\d+$/);
  });

  test.each([
    [['foo'], "error: unknown command 'foo'"],
    [['attach'], "error: missing required argument 'target'"],
    [['attach', 'e10'], "'e10' is not a target address; write e<shelf>.<slot>, for example e10.3"],
    [['attach', 'e65535.3'], 'shelf 65535'],
    [['attach', 'e10.3', '--timeout', 'soon'], 'Give seconds, for example 30.'],
    [['attach', 'e10.3', '--attach', 'iscsi'], 'Allowed choices are auto, nbd, fuse, nbd-socket.'],
    [['attach', 'e10.3', '--max-outstanding', '0'], 'Give a whole number from 1.'],
    [['stat', '--foo'], "error: unknown option '--foo'"],
    [['initiator', '--log-level', 'loud'], 'Allowed choices are'],
    [['demo', '--target', 'x'], 'Allowed choices are aoe-csi, vblade.'],
    [['csi', 'MakeVolume'], "there is no method MakeVolume; 'aoe-csi csi list' shows those there are"],
    [['csi', 'CreateVolume', 'nmae=x'], 'CreateVolumeRequest has no field nmae; it has name, capacityRange'],
    [['csi', 'CreateVolume', '{"nmae": "x"}'], 'CreateVolumeRequest has no field nmae'],
    [['csi', 'CreateVolume', 'capacityRange.requiredBytes=1GB'], "cannot use '1GB' for requiredBytes: give a whole number"],
    [
      ['csi', 'CreateVolume', 'name=x', '--mode', 'WRITER'],
      "cannot use 'WRITER' for mode: give one of UNKNOWN, SINGLE_NODE_WRITER",
    ],
    [['csi', 'ControllerPublishVolume', 'readonly=yes'], "cannot use 'yes' for readonly: give true or false"],
    [['csi', 'Probe', '--endpoint', 'csi.sock'], 'only unix sockets with an absolute path'],
  ])('%j is wrong usage: exit code 2 and what is wrong', async (words, text) => {
    const { code, err } = await aoeCsi(...words);
    expect([code, err]).toEqual([2, expect.stringContaining(text)]);
  });

  test.each(CLIENTS)('%s says how to start the initiator when none is there', async (verb) => {
    const path = join(folder, 'nobody');
    const words = ['attach', 'detach', 'grow'].includes(verb) ? [verb, 'e10.3'] : [verb];
    expect(await aoeCsi(...words, '--socket', path)).toEqual({
      code: 3,
      out: '',
      err:
        `aoe-csi: cannot reach the initiator at ${path} (ENOENT): no initiator has been started there; ` +
        'start it, as root, with: aoe-csi initiator --interfaces <names>',
    });
  });

  test('a socket that answers but is no initiator is a failure, not a hang', async () => {
    const path = join(folder, 'mute');
    const mute = createServer((socket) => socket.end());
    await new Promise<void>((done) => mute.listen(path, done));
    try {
      const { code, err } = await aoeCsi('interfaces', '--socket', path);
      expect([code, err]).toEqual([expect.any(Number), expect.stringMatching(/^aoe-csi: \w+/)]);
      expect(code).not.toBe(0);
    } finally {
      mute.close();
    }
  });
});

describe('formatTable', () => {
  test('aligns text at the left and numbers at the right, without spaces at the ends of lines', () => {
    const columns = [{ heading: 'NAME' }, { heading: 'SIZE', right: true }, { heading: 'NOTE' }];
    const rows = [
      ['a', '12345', ''],
      ['longer', '1', 'x'],
    ];
    expect(formatTable(columns, rows)).toBe(['NAME     SIZE  NOTE', 'a       12345', 'longer      1  x'].join('\n'));
  });
});
