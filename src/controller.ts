import { mkdir } from 'node:fs/promises';
import { createApi } from './api/api.js';
import { OwnCertificate } from './api/own-certificate.js';
import { allServices } from './api/services.js';
import { followCertificate } from './api/tls.js';
import { CONTROLLER_SECTION, type Config, loadConfig } from './config.js';
import { sweepAddressHolds } from './core/address/settle.js';
import { refreshInventories } from './core/allocation/refresh.js';
import type { App } from './core/app.js';
import { Audit } from './core/audit/audit.js';
import { pruneAuditRecords } from './core/audit/prune.js';
import { createDefaultFlavors } from './core/flavor/defaults.js';
import { bootstrapIdentity } from './core/identity/bootstrap.js';
import { createIdentity } from './core/identity/identity.js';
import { ImageFiles } from './core/image/files.js';
import { onNetworkReports } from './core/network/reports.js';
import { RulePolicy } from './core/policy/engine.js';
import { reloadPolicyFile } from './core/policy/reload.js';
import { followStoredPolicies } from './core/policy/stored.js';
import { placeWaitingRouters, sweepRouters } from './core/router/sweep.js';
import { followHosts } from './core/server/wire.js';
import { registerTasks } from './core/tasks.js';
import { pruneTrails } from './core/trail/trail.js';
import { disableInactiveUsers } from './core/user/activity.js';
import { sweepDeletedVolumes } from './core/volume/change.js';
import { onVolumeReports } from './core/volume/reports.js';
import { networkKinds } from './desired/network-kinds.js';
import { serverKind } from './desired/server.js';
import { volumeKind } from './desired/volume.js';
import { Hosts } from './hosts/hosts.js';
import { listenApi } from './hosts/listen.js';
import { type PeriodicJob, startPeriodic } from './periodic.js';
import { Reload } from './protocol/config/reload.js';
import type { Logger } from './protocol/log.js';
import { createProgramLog } from './protocol/log-output.js';
import { type LogSource, NO_LOG, type RunCommand } from './protocol/log-source.js';
import { trimChanges } from './store/changes.js';
import { purgeOauth } from './store/identity/oauth.js';
import { findImage } from './store/image.js';
import { holdDatabase } from './store/sole.js';
import { nowText, Store } from './store/store.js';
import { Tasks } from './tasks/tasks.js';

/** How long a starting controller lets hosts answer before it takes requests. */
const FIRST_CONTACTS_MS = 2_000;
/** A controller that was away for longer works every host's spec out anew. */
const CHANGES_KEPT_MS = 10 * 60_000;

/**
 * Runs a controller until SIGTERM or SIGINT; SIGHUP reads the configuration again. Rejects when it cannot start, with what is wrong.
 * `readCommand` is how the journal is read, which holds the log of a program under systemd.
 */
export async function runController(configFile: string, readCommand: RunCommand): Promise<void> {
  const config = loadConfig(configFile);
  const { log, source } = createProgramLog(config, { service: 'controller' }, readCommand);
  let reload: Reload<typeof CONTROLLER_SECTION.keys> | null = null;
  // from the beginning: without a listener the signal would end the process
  process.on('SIGHUP', () => void reload?.request());
  const controller = await startController(config, log, source);
  reload = new Reload({
    file: configFile,
    section: CONTROLLER_SECTION,
    load: () => loadConfig(configFile),
    live: config,
    log,
    prepare: controller.prepareReload,
    apply: controller.reloaded,
  });
  const stop = async (signal: string) => {
    log.info('stopping', { signal });
    await controller.close();
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}

export interface Controller {
  close(): Promise<void>;
  /** Takes what new values name; throws, and changes nothing, when that cannot be used. */
  prepareReload(next: Config): void;
  /** The values that `startController` was given have changed. */
  reloaded(changed: ReadonlySet<keyof Config>): Promise<void>;
}

/** Puts the parts together: the only place where they are chosen and joined. `ownLog`: where what it logs can be read. */
export async function startController(
  config: Config,
  log: Logger,
  ownLog: LogSource = NO_LOG,
): Promise<Controller> {
  await mkdir(config.state_dir, { recursive: true, mode: 0o750 });
  const held = holdDatabase(config.database);
  try {
    const store = await Store.open(config.database);
    // controllers that start at the same moment must not make the same things twice
    const { app, hosts, tasks, api, certificate } = await store.exclusively('start', () =>
      prepare(config, log, store, ownLog),
    );
    await hosts.start();
    await tasks.run();
    const periodic = startPeriodic(log, periodicJobs(app));
    await hosts.firstContacts(FIRST_CONTACTS_MS);
    log.info('ready', { listening: await listenApi(api, config) });
    return {
      prepareReload: (next) => reloadPolicyFile(app, next.policy_file),
      reloaded: async (changed) => {
        certificate.readAgain();
        if (changed.has('drift') || changed.has('host_down_after')) hosts.reconfigured();
        if (INVENTORY_KEYS.some((key) => changed.has(key))) await refreshInventories(app);
      },
      close: async () => {
        periodic.stop();
        const ended: PromiseSettledResult<void>[] = [];
        // one that cannot end well keeps none of the others open
        for (const part of [api, hosts, tasks, app.identity.activeDays, app.audit, store])
          ended.push(...(await Promise.allSettled([part.close()])));
        held.release();
        for (const end of ended) if (end.status === 'rejected') throw end.reason;
      },
    };
  } catch (error) {
    held.release();
    throw error;
  }
}

/** What inventories are worked out from, besides the facts of hosts. */
const INVENTORY_KEYS = ['cpu_allocation_ratio', 'ram_allocation_ratio', 'reserved_host_memory_mb'] as const;

/** Everything up to where others notice that this controller is there. */
async function prepare(config: Config, log: Logger, store: Store, ownLog: LogSource) {
  const images = new ImageFiles(config.image_dir);
  const identity = createIdentity(config, store);
  const policy = new RulePolicy(config.policy_file);
  const hosts = await Hosts.open({
    config,
    store,
    writeIdentity: (body) => identity.write(body),
    log,
    kinds: [...networkKinds, serverKind, volumeKind],
    openImage: async (id) => await images.open((await findImage(store.read, id)) ?? { id, file_name: null }),
  });
  const tasks = new Tasks({ store, log });
  const app: App = {
    config,
    store,
    log,
    identity,
    policy,
    audit: new Audit({ store, log }),
    hosts,
    images,
    tasks,
    ownLog,
    auth: identity.tokens,
  };
  registerTasks(app);
  followHosts(app, hosts);
  hosts.onReport(onVolumeReports);
  hosts.onReport((tx, hostId, reports) => onNetworkReports(app, tx, hostId, reports));
  hosts.onFacts((tx) => placeWaitingRouters(tx, app));

  const services = allServices(app);
  const ownCertificate = await OwnCertificate.of(config, publicNames(config), log);
  await ownCertificate?.renewIfDue();
  const api = await createApi(app, services);
  const certificate = followCertificate(api, config, log);
  ownCertificate?.follow(api, certificate);
  policy.verify();
  await followStoredPolicies(app);
  await bootstrapIdentity(
    app,
    services.map((s) => s.name),
  );
  await createDefaultFlavors(app);
  await images.prepare();
  return { app, hosts, tasks, api, certificate };
}

/** By what clients may reach the APIs. */
function publicNames({ public_url, agent_names }: Config): string[] {
  const host = new URL(public_url).hostname.replace(/^\[|\]$/g, '');
  return [...new Set([host, ...agent_names])];
}

/** Safe to run at several controllers at once. */
function periodicJobs(app: App): PeriodicJob[] {
  const { store } = app;
  const { housekeeping_schedule } = app.config;
  return [
    ...(store.dialect === 'postgres'
      ? [{ name: 'old changes', when: 60, run: () => store.tx((tx) => trimChanges(tx, CHANGES_KEPT_MS)) }]
      : []),
    { name: 'addresses to give out again', when: 30, run: () => sweepAddressHolds(app) },
    { name: 'routers without a working host', when: 2, run: () => sweepRouters(app) },
    { name: 'old tasks', when: housekeeping_schedule, run: () => app.tasks.prune() },
    { name: 'old audit records', when: housekeeping_schedule, run: () => pruneAuditRecords(app) },
    { name: 'old trails', when: housekeeping_schedule, run: () => pruneTrails(app) },
    { name: 'inactive users', when: housekeeping_schedule, run: () => disableInactiveUsers(app) },
    { name: 'deleted volumes', when: 5, run: () => sweepDeletedVolumes(app) },
    {
      name: 'token keys and revocations',
      when: housekeeping_schedule,
      run: () => app.identity.tokens.housekeeping(),
    },
    {
      name: 'keys of credentials and OAuth tokens',
      when: housekeeping_schedule,
      run: async () => {
        await app.identity.sealing.housekeeping();
        await store.tx((tx) => purgeOauth(tx, nowText()));
      },
    },
  ];
}
