import { defineConfig } from 'vitest/config';

/** Lab and fault tests use real namespaces and guests, so test files run one after another. */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'src/**/*.test.ts', 'agents/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    fileParallelism: false,
    globalSetup: ['test/support/global-setup.ts'],
  },
});
