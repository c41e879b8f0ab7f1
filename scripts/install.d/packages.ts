import { ask, machine } from './actions.js';
import { SOURCE } from './layout.js';
import type { Role } from './options.js';
import type { Step } from './run-steps.js';

const LIST = `${SOURCE}/scripts/lib/packages.sh`;

/** Debian packages that are missing for the role, installed by apt; only named when the operator does without. */
export function packagesStep(role: Role, install: boolean): Step {
  return {
    name: 'packages',
    advice:
      'The package archive must be reachable (network, proxy); on Ubuntu with the component universe. --no-packages leaves packages to you.',
    async look() {
      const missing = await missingPackages(role);
      if (missing.length === 0) return [];
      if (!install)
        return [
          { do: 'warn', text: `not installed, and left to you by --no-packages: ${missing.join(' ')}` },
        ];
      const options = ['-qq', '-y', '-o', 'DPkg::Lock::Timeout=300', '-o', 'Dpkg::Options::=--force-confold'];
      return [
        { do: 'run', argv: ['apt-get', ...options, 'update'], timeoutMs: 600_000 },
        {
          do: 'run',
          argv: ['apt-get', ...options, 'install', '--no-install-recommends', ...missing],
          timeoutMs: 1_800_000,
        },
      ];
    },
  };
}

async function missingPackages(role: Role): Promise<string[]> {
  if ((await ask('dpkg-query', '--version')) === null) {
    throw new Error(
      'this machine has no dpkg: Maru is installed on Debian 12 and 13, Ubuntu 22.04 and 24.04; elsewhere see scripts/lib/packages.sh for what is needed',
    );
  }
  const purpose = role === 'controller' ? 'controller' : 'host';
  const { stdout } = await machine.read('bash', ['-c', '. "$0"; missing_packages "$1"', LIST, purpose]);
  return stdout.split('\n').filter(Boolean);
}
