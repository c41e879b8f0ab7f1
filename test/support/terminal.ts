import { vi } from 'vitest';

/** An administrator's terminal: the environment that `maru` reads credentials from, and what it writes to standard output. */
export class Terminal {
  written = '';

  /** For beforeEach. The controller is one that nobody listens for; what talks to it is the test's. */
  static open(): Terminal {
    const terminal = new Terminal();
    process.exitCode = undefined;
    vi.stubEnv('OS_AUTH_URL', 'http://127.0.0.1:1/identity/v3');
    vi.stubEnv('OS_USERNAME', 'admin');
    vi.stubEnv('OS_PASSWORD', 'secret');
    vi.stubEnv('OS_PROJECT_NAME', 'admin');
    vi.stubEnv('OS_CLOUD', undefined);
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      terminal.written += String(text);
      return true;
    });
    return terminal;
  }

  /** For afterEach: everything as before. */
  close(): void {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
    process.exitCode = undefined;
  }
}
