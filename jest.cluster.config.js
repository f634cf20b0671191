import everyday from './jest.config.js';

/** `npm run test:cluster`: against a real API server, one after the other. */
export default {
  ...everyday,
  testMatch: ['<rootDir>/test/cluster/**/*.test.js'],
  testPathIgnorePatterns: [],
  maxWorkers: 1,
  testTimeout: 180_000,
};
