import { describe, expect, test } from '@jest/globals';
import { isLogLevel, Logger, type LogLevel } from '../../src/logging/logger.ts';

function capture(level: LogLevel): { logger: Logger; lines: () => Record<string, unknown>[] } {
  const written: string[] = [];
  const logger = Logger.create(level, { write: (line) => void written.push(line) });
  return { logger, lines: () => written.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

describe('Logger', () => {
  test('info() writes one line of JSON with level, message and fields', () => {
    const { logger, lines } = capture('info');
    logger.info('target found', { target: 'e10.3', interface: 'eth1' });
    expect(lines()).toEqual([
      { level: 'info', time: expect.stringMatching(/^\d{4}-.*Z$/), target: 'e10.3', interface: 'eth1', msg: 'target found' },
    ]);
  });

  test('with() puts its fields on every line and a call may override them', () => {
    const { logger, lines } = capture('info');
    const ofTarget = logger.with({ component: 'discovery' }).with({ target: 'e10.3' });
    ofTarget.warn('lost');
    ofTarget.warn('found another', { target: 'e10.4' });
    expect(lines()).toMatchObject([
      { component: 'discovery', target: 'e10.3' },
      { component: 'discovery', target: 'e10.4' },
    ]);
  });

  test('level takes effect at once when a logger made earlier is used', () => {
    const { logger, lines } = capture('warn');
    const earlier = logger.with({ target: 'e10.3' });
    earlier.debug('not written');
    logger.level = 'debug';
    earlier.debug('written');
    expect(lines().map((line) => line['msg'])).toEqual(['written']);
    expect(earlier.level).toBe('debug');
  });

  test('error() writes message, code and stack when given an error', () => {
    const { logger, lines } = capture('info');
    logger.error('cannot attach e10.3', { err: Object.assign(new Error('no such device'), { code: 'ENODEV' }) });
    expect(lines()[0]).toMatchObject({ err: { message: 'no such device', code: 'ENODEV', stack: expect.any(String) } });
  });

  test('isLogLevel() refuses when the name is unknown', () => {
    expect(isLogLevel('debug')).toBe(true);
    expect(isLogLevel('verbose')).toBe(false);
  });
});
