/** Jest runs the JavaScript that tsc emits (dist/), as ES modules and untransformed: what is tested is what is shipped. */
export default {
  rootDir: 'dist',
  testMatch: ['<rootDir>/test/**/*.test.js'],
  testEnvironment: 'node',
  transform: {},
  // Two processes are enough for the everyday gate on a small machine; tests with a network namespace of their own don't collide.
  maxWorkers: 2,
  testTimeout: 60_000,
  // Ours prints, after everything else, slow tests, reasons of skips and the line `N passed, N failed, N skipped`.
  reporters: ['default', '<rootDir>/test/support/reporter.js'],
  injectGlobals: false,
};
