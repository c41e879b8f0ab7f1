import type { ManagerPlan, UplinkManager } from './manager.js';

/** An uplink that no program looks after: its addresses were given by hand, or by a script that Maru does not know. */
export const noManager: UplinkManager = {
  name: 'none',
  plan: async ({ bridge, uplink }) =>
    nothing(
      `no program that Maru knows configures ${uplink}: nothing will make ${bridge} again after a reboot. Put it into the host's own network configuration.`,
    ),
  planRelease: async ({ bridge }) =>
    nothing(`if anything of this host makes ${bridge} at boot, take that out of its configuration`),
};

function nothing(warning: string): ManagerPlan {
  return {
    trialFiles: [],
    handOver: [],
    handBackFirst: [],
    handBack: [],
    permanent: [],
    confirmCommands: [],
    dhcp: null,
    lease: null,
    warnings: [warning],
  };
}
