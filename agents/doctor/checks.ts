import type { Check } from './check.js';
import { bridgeChecks } from './checks/bridges.js';
import { firewallChecks } from './checks/firewall.js';
import { kernelChecks } from './checks/kernel.js';
import { libvirtChecks } from './checks/libvirt.js';
import { processorChecks } from './checks/processor.js';
import { serviceChecks } from './checks/services.js';
import { storageChecks } from './checks/storage.js';
import { trustChecks } from './checks/trust.js';
import { tunnelChecks } from './checks/tunnels.js';

/** Everything that doctor looks for, in the order in which findings of one gravity are told. */
export const CHECKS: readonly Check[] = [
  ...trustChecks,
  ...storageChecks,
  ...serviceChecks,
  ...bridgeChecks,
  ...tunnelChecks,
  ...firewallChecks,
  ...libvirtChecks,
  ...kernelChecks,
  ...processorChecks,
];
