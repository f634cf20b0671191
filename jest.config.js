/** Jest runs the JavaScript that tsc emits (dist/), as ES modules and untransformed: what is tested is what is shipped. */
export default {
  rootDir: 'dist',
  testMatch: ['<rootDir>/test/**/*.test.js'],
  // They need a Kubernetes that is built first: `npm run test:cluster`.
  testPathIgnorePatterns: ['/test/cluster/'],
  globalSetup: '<rootDir>/test/support/leftovers.js',
  testEnvironment: 'node',
  transform: {},
  // Most tests wait for others more than they work: three at a time on two cores. What they make has names of their own.
  maxWorkers: 3,
  testTimeout: 60_000,
  // Ours prints, after everything else, slow tests, reasons of skips and the line `N passed, N failed, N skipped`.
  reporters: ['default', '<rootDir>/test/support/reporter.js'],
  injectGlobals: false,
};
