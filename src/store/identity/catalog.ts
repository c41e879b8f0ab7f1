import type { Selectable } from 'kysely';
import type { EndpointTable, RegionTable, ServiceTable } from '../tables/identity.js';
import { idRows } from './table.js';

export type RegionRow = Selectable<RegionTable>;
export type ServiceRow = Selectable<ServiceTable>;
export type EndpointRow = Selectable<EndpointTable>;

export const regions = idRows('region');
export const services = idRows('service');
export const endpoints = idRows('endpoint');
