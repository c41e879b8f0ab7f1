import { badRequest, conflict, forbidden, type MaruError, notFound, overQuota } from '../errors.js';
import type { QuotaUse } from '../quota/quota.js';

/** Neutron's refusals, in its words: clients and Tempest match some of these texts. */

export const networkNotFound = (id: string | null): MaruError =>
  notFound(`Network ${id ?? 'None'} could not be found.`, 'NetworkNotFound');

export const subnetNotFound = (id: string): MaruError =>
  notFound(`Subnet ${id} could not be found.`, 'SubnetNotFound');

export const portNotFound = (id: string): MaruError =>
  notFound(`Port ${id} could not be found.`, 'PortNotFound');

export const routerNotFound = (id: string): MaruError =>
  notFound(`Router ${id} could not be found`, 'RouterNotFound');

export const floatingIpNotFound = (id: string): MaruError =>
  notFound(`Floating IP ${id} could not be found`, 'FloatingIPNotFound');

export const groupNotFound = (id: string): MaruError =>
  notFound(`Security group ${id} does not exist`, 'SecurityGroupNotFound');

export const ruleNotFound = (id: string): MaruError =>
  notFound(`Security group rule ${id} does not exist`, 'SecurityGroupRuleNotFound');

export const invalidInput = (message: string): MaruError =>
  badRequest(`Invalid input for operation: ${message}.`, 'InvalidInput');

/** For a network that the caller sees and neither owns nor shares, such as an external one. */
export const notAllowedOnNetwork = (projectId: string, resource: 'port' | 'subnet'): MaruError =>
  forbidden(`Tenant ${projectId} not allowed to create ${resource} on this network`, 'HTTPForbidden');

export const networkInUse = (id: string, what: string): MaruError =>
  conflict(`Unable to complete operation on network ${id}. ${what}`, 'NetworkInUse');

export const subnetInUse = (id: string): MaruError =>
  conflict(
    `Unable to complete operation on subnet ${id}: One or more ports have an IP allocation from this subnet.`,
    'SubnetInUse',
  );

export const addressesExhausted = (networkId: string): MaruError =>
  conflict(`No more IP addresses available on network ${networkId}.`, 'IpAddressGenerationFailure');

export const addressInUse = (ip: string, subnetId: string): MaruError =>
  conflict(`IP address ${ip} already allocated in subnet ${subnetId}`, 'IpAddressAlreadyAllocated');

export const macInUse = (networkId: string, mac: string): MaruError =>
  conflict(
    `Unable to complete operation for network ${networkId}. The mac address ${mac} is in use.`,
    'MacAddressInUse',
  );

/** What the quota check throws; Neutron names all resources that are over. */
export const quotaExceeded = (use: QuotaUse): MaruError =>
  overQuota(`Quota exceeded for resources: ['${use.resource}'].`, { type: 'OverQuota' });
