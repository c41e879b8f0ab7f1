import { defineConfig } from 'vitest/config';

/** Lab and fault tests use real namespaces and guests, so test files run one after another. */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'src/**/*.test.ts', 'agents/**/*.test.ts'],
    // a busy machine is slow: what waits ends at its condition, so these cost nothing
    testTimeout: 60_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 30_000 } },
    fileParallelism: false,
    globalSetup: ['test/support/global-setup.ts'],
  },
});
