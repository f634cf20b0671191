import everyday from './jest.config.js';

/** What takes long is left out unless it is asked for: `npm run test:cluster -- --all` sets it (tools/run/jobs.js). */
const isWholeList = process.env['AOE_CSI_CLUSTER'] === 'all';

/** Files that do, and run when they are named, too. */
const SELDOM = ['seldom', 'guests', 'image-arm64'];
const isNamed = (file) => process.argv.slice(2).some((word) => word.includes(file));

/** `npm run test:cluster`: against a real API server, one after the other. */
export default {
  ...everyday,
  testMatch: ['<rootDir>/test/cluster/**/*.test.js'],
  testPathIgnorePatterns: isWholeList ? [] : SELDOM.filter((file) => !isNamed(file)).map((file) => `/test/cluster/${file}`),
  maxWorkers: 1,
  testTimeout: 180_000,
};
