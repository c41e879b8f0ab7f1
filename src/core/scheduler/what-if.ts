import { findFlavor } from '../../store/compute/flavor.js';
import { computeHosts } from '../../store/compute/hosts.js';
import { countServerUse } from '../../store/compute/server.js';
import { findRows } from '../../store/network/rows.js';
import type { Reader } from '../../store/store.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { badRequest } from '../errors.js';
import { physicalNetworksOf } from '../port/for-server.js';
import { COMPUTE_QUOTAS } from '../quota/compute.js';
import { effectiveLimits } from '../quota/quota.js';
import { resourcesOf, wishesOf } from '../server/build.js';
import { flavorFacts, type ServerFlavor, type ServerImage } from '../server/facts.js';
import { imageForServer } from '../server/image.js';
import { DEFAULT_ZONE, NO_WISHES, type PlacementRequest, type Verdict } from './candidate.js';
import { candidatesAmong } from './candidates.js';
import { judgeHosts } from './judge.js';
import { lookUp, suggestion } from './lookup.js';
import { howMany, simulate } from './many.js';

/** Servers that an operator thinks of; everything by id or name. */
export interface WhatIf {
  readonly flavor: string;
  readonly image: string | null;
  readonly networks: readonly string[];
  readonly ports: readonly string[];
  readonly availability_zone: string | null;
  readonly host: string | null;
  readonly hints: {
    readonly group: string | null;
    readonly same_host: readonly string[];
    readonly different_host: readonly string[];
  };
  readonly project: string | null;
  readonly count: number;
}

/** Where such servers would go now, and why; nothing is claimed. */
export interface WhatIfAnswer {
  readonly wants: {
    readonly flavor: string;
    readonly image: string | null;
    readonly project: string | null;
    readonly resources: Readonly<Record<string, number>>;
    readonly availability_zone: string | null;
    readonly host: string | null;
    readonly physical_networks: readonly string[];
    readonly count: number;
  };
  /** The host that the first one would go to; null: none fits. */
  readonly chosen: string | null;
  readonly because: string;
  readonly hosts: readonly HostAnswer[];
  /** How many of the `count` would find a place, and how many would go to each host. */
  readonly placed: number;
  readonly placements: Readonly<Record<string, number>>;
  /** How many of such servers would fit altogether. */
  readonly total: number;
  /** What the project's quota says about it; null when none was named. */
  readonly quota: { readonly allows: number | 'any number'; readonly words: string } | null;
}

export interface HostAnswer {
  readonly name: string;
  readonly fits: boolean;
  readonly weight: number;
  readonly weights: Readonly<Record<string, number>>;
  readonly reasons: Verdict['reasons'];
  /** How many of such servers this host would take. */
  readonly room: number;
}

/** Judges every host for servers that do not exist, by the code that places real ones. 400 for what does not exist or go together. */
export async function whatIf(app: App, ctx: Context, asked: WhatIf): Promise<WhatIfAnswer> {
  const db = app.store.read;
  const { flavor, image, project, request } = await resolve(db, ctx, asked);
  const candidates = await candidatesAmong(db, app, await computeHosts(db));
  const verdicts = judgeHosts(candidates, request);
  const room = howMany(candidates, verdicts, request);
  const placements = simulate(candidates, request, asked.count);
  return {
    wants: {
      flavor: flavor.name,
      image: image?.name ?? null,
      project: project?.name ?? null,
      resources: request.resources,
      availability_zone: request.availability_zone,
      host: request.host,
      physical_networks: request.physical_networks,
      count: asked.count,
    },
    chosen: verdicts[0]?.ok ? verdicts[0].host : null,
    because: whyFirst(verdicts),
    hosts: verdicts.map((verdict) => hostAnswer(verdict, room.of.get(verdict.host_id) ?? 0)),
    placed: Object.values(placements).reduce((sum, n) => sum + n, 0),
    placements,
    total: room.total,
    quota: project && (await quotaOf(db, project.id, flavor, asked.count)),
  };
}

/** A verdict as operators see it. */
export function hostAnswer(verdict: Verdict, room: number): HostAnswer {
  const { host, ok, weight, weights, reasons } = verdict;
  const round = (value: number) => Math.round(value * 1000) / 1000;
  return {
    name: host,
    fits: ok,
    weight: round(weight),
    weights: Object.fromEntries(Object.entries(weights).map(([name, value]) => [name, round(value)])),
    reasons,
    room,
  };
}

/** Why the first host comes before the second, in words. */
export function whyFirst(verdicts: readonly Verdict[]): string {
  const [first, second] = verdicts;
  if (!first) return 'no host has joined this cloud yet';
  if (!first.ok) return 'no host fits';
  if (!second?.ok) return `${first.host} is the only host that fits`;
  if (first.weight - second.weight < 1e-9)
    return `${first.host} weighs as much as ${second.host} and comes first by name`;
  const parts = Object.keys(first.weights).map(
    (name) => `${name} ${first.weights[name]!.toFixed(2)} to ${(second.weights[name] ?? 0).toFixed(2)}`,
  );
  return `${first.host} weighs ${first.weight.toFixed(3)}, ${second.host} ${second.weight.toFixed(3)}: ${parts.join(', ')}`;
}

async function resolve(db: Reader, ctx: Context, asked: WhatIf) {
  const flavorRef = await lookUp(db, 'flavor', asked.flavor);
  const flavor = flavorFacts((await findFlavor(db, flavorRef.id))!);
  const image = asked.image === null ? null : await findImage(db, ctx, asked.image, flavor);
  const project = asked.project === null ? null : await lookUp(db, 'project', asked.project);
  await checkPlace(db, asked);
  const networks: string[] = [];
  for (const name of asked.networks) networks.push((await lookUp(db, 'network', name)).id);
  const ports: string[] = [];
  for (const name of asked.ports) ports.push((await lookUp(db, 'port', name)).id);
  for (const port of await findRows(db, 'port', ports)) networks.push(port.network_id);
  const { hints } = asked;
  const servers = async (names: readonly string[]) => {
    const ids: string[] = [];
    for (const name of names) ids.push((await lookUp(db, 'server', name)).id);
    return ids;
  };
  const group = hints.group === null ? null : (await lookUp(db, 'server_group', hints.group)).id;
  const same_host = await servers(hints.same_host);
  const different_host = await servers(hints.different_host);
  const request: PlacementRequest = {
    ...NO_WISHES,
    ...(await wishesOf(db, { host: asked.host, group, same_host, different_host }, null)),
    resources: resourcesOf(flavor, image),
    project_id: project?.id ?? null,
    availability_zone: asked.availability_zone,
    physical_networks: await physicalNetworksOf(db, [...new Set(networks)]),
    image: image && { size: image.size, properties: image.properties },
    extra_specs: flavor.extra_specs,
  };
  return { flavor, image, project, request };
}

async function findImage(db: Reader, ctx: Context, name: string, flavor: ServerFlavor): Promise<ServerImage> {
  return await imageForServer(db, ctx, (await lookUp(db, 'image', name)).id, flavor);
}

async function checkPlace(db: Reader, { availability_zone: zone, host }: WhatIf): Promise<void> {
  const hosts = await computeHosts(db);
  const names = hosts.map(({ name }) => name);
  if (host !== null && !names.includes(host)) {
    throw badRequest(`There is no host '${host}'${suggestion(host, names)}; maru host list shows them.`);
  }
  const zones = [...new Set([DEFAULT_ZONE, ...hosts.flatMap((h) => [...h.zones])])];
  if (zone !== null && !zones.includes(zone)) {
    throw badRequest(`There is no availability zone '${zone}'; there are: ${zones.join(', ')}.`);
  }
}

async function quotaOf(db: Reader, projectId: string, flavor: ServerFlavor, count: number) {
  const limits = await effectiveLimits(db, projectId, 'compute', COMPUTE_QUOTAS);
  const used = await countServerUse(db, projectId);
  const each = { instances: 1, cores: flavor.vcpus, ram: flavor.ram };
  const left = (['instances', 'cores', 'ram'] as const)
    .filter((name) => limits[name] >= 0 && each[name] > 0)
    .map((name) => ({ name, n: Math.floor(Math.max(limits[name] - used[name], 0) / each[name]) }))
    .sort((a, b) => a.n - b.n);
  const [least] = left;
  if (!least) return { allows: 'any number' as const, words: 'the project has no limit' };
  const { name, n } = least;
  const words = `${name}: ${used[name]} of ${limits[name]} used${n < count ? `; not enough for ${count}` : ''}`;
  return { allows: n, words };
}
