import { constants } from 'node:os';
import { expect, test } from '@jest/globals';
import { errnoName, SystemError } from '../../src/system/errno.ts';

test('errnoName() agrees with Node on every error Node knows', () => {
  // EWOULDBLOCK and ENOTSUP are second names of EAGAIN and EOPNOTSUPP.
  const known = Object.entries(constants.errno).filter(([name]) => name !== 'EWOULDBLOCK' && name !== 'ENOTSUP');
  expect(known.filter(([name, number]) => errnoName(number) !== name)).toEqual([]);
});

test('errnoName() is total: it names negative, unused and unknown numbers', () => {
  expect([-11, 0, 41, 58, 133, 134, 4095, NaN].map(errnoName)).toEqual([
    ...['EAGAIN', 'errno 0', 'errno 41', 'errno 58', 'EHWPOISON', 'errno 134', 'errno 4095', 'errno NaN'],
  ]);
});

test('SystemError says what was attempted, what happened and what to do', () => {
  const error = new SystemError({
    attempt: 'open an AoE packet socket on interface 7',
    syscall: 'bind',
    errno: 19,
    advice: { ENODEV: 'look its index up again', EPERM: 'run as root' },
  });
  expect(error.message).toBe(
    'cannot open an AoE packet socket on interface 7: bind: ENODEV (no such device); look its index up again',
  );
  expect({ code: error.code, errno: error.errno, syscall: error.syscall }).toEqual({
    code: 'ENODEV',
    errno: 19,
    syscall: 'bind',
  });
});

test('SystemError leaves out a meaning and an advice that it does not have', () => {
  expect(new SystemError({ attempt: 'try', syscall: 'call', errno: 4095 }).message).toBe('cannot try: call: errno 4095');
});
