import { mkdir } from 'node:fs/promises';
import { createApi } from './api/api.js';
import { allServices } from './api/services.js';
import { type Config, loadConfig } from './config.js';
import { sweepAddressHolds } from './core/address/settle.js';
import type { App } from './core/app.js';
import { createDefaultFlavors } from './core/flavor/defaults.js';
import { bootstrapIdentity } from './core/identity/bootstrap.js';
import { createIdentity } from './core/identity/identity.js';
import { ImageFiles } from './core/image/files.js';
import { onNetworkReports } from './core/network/reports.js';
import { RulePolicy } from './core/policy/engine.js';
import { placeWaitingRouters, sweepRouters } from './core/router/sweep.js';
import { followHosts } from './core/server/wire.js';
import { registerTasks } from './core/tasks.js';
import { sweepDeletedVolumes } from './core/volume/change.js';
import { onVolumeReports } from './core/volume/reports.js';
import { networkKinds } from './desired/network-kinds.js';
import { serverKind } from './desired/server.js';
import { volumeKind } from './desired/volume.js';
import { Hosts } from './hosts/hosts.js';
import { listenApi } from './hosts/listen.js';
import { type PeriodicJob, startPeriodic } from './periodic.js';
import { createLogger, type Logger } from './protocol/log.js';
import { trimChanges } from './store/changes.js';
import { findImage } from './store/image.js';
import { holdDatabase } from './store/sole.js';
import { Store } from './store/store.js';
import { Tasks } from './tasks/tasks.js';

/** How long a starting controller lets hosts answer before it takes requests. */
const FIRST_CONTACTS_MS = 2_000;
/** A controller that was away for longer works every host's spec out anew. */
const CHANGES_KEPT_MS = 10 * 60_000;

/** Runs a controller until SIGTERM or SIGINT. Rejects when it cannot start, with what is wrong. */
export async function runController(configFile: string): Promise<void> {
  const config = loadConfig(configFile);
  const log = createLogger(config.log_level, { service: 'controller' });
  const controller = await startController(config, log);
  const stop = async (signal: string) => {
    log.info('stopping', { signal });
    await controller.close();
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}

/** Puts the parts together: the only place where they are chosen and joined. */
export async function startController(config: Config, log: Logger): Promise<{ close(): Promise<void> }> {
  await mkdir(config.state_dir, { recursive: true, mode: 0o750 });
  const held = holdDatabase(config.database);
  try {
    const store = await Store.open(config.database);
    // controllers that start at the same moment must not make the same things twice
    const { app, hosts, tasks, api } = await store.exclusively('start', () => prepare(config, log, store));
    await hosts.start();
    await tasks.run();
    const periodic = startPeriodic(log, periodicJobs(app));
    await hosts.firstContacts(FIRST_CONTACTS_MS);
    log.info('ready', { listening: await listenApi(api, config) });
    return {
      close: async () => {
        periodic.stop();
        const ended: PromiseSettledResult<void>[] = [];
        // one that cannot end well keeps none of the others open
        for (const part of [api, hosts, tasks, store])
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

/** Everything up to where others notice that this controller is there. */
async function prepare(config: Config, log: Logger, store: Store) {
  const images = new ImageFiles(config.image_dir);
  const identity = createIdentity(config, store);
  const policy = new RulePolicy(config.policy_file);
  const hosts = await Hosts.open({
    config,
    store,
    log,
    kinds: [...networkKinds, serverKind, volumeKind],
    openImage: async (id) => await images.open((await findImage(store.read, id)) ?? { id, file_name: null }),
  });
  const tasks = new Tasks({ store, log });
  const app: App = { config, store, log, identity, policy, hosts, images, tasks, auth: identity.tokens };
  registerTasks(app);
  followHosts(app, hosts);
  hosts.onReport(onVolumeReports);
  hosts.onReport((tx, hostId, reports) => onNetworkReports(app, tx, hostId, reports));
  hosts.onFacts((tx) => placeWaitingRouters(tx, app));

  const services = allServices(app);
  const api = await createApi(app, services);
  policy.verify();
  await bootstrapIdentity(
    app,
    services.map((s) => s.name),
  );
  await createDefaultFlavors(app);
  await images.prepare();
  return { app, hosts, tasks, api };
}

/** Safe to run at several controllers at once. */
function periodicJobs(app: App): PeriodicJob[] {
  const { store } = app;
  return [
    ...(store.dialect === 'postgres'
      ? [{ name: 'old changes', seconds: 60, run: () => store.tx((tx) => trimChanges(tx, CHANGES_KEPT_MS)) }]
      : []),
    { name: 'addresses to give out again', seconds: 30, run: () => sweepAddressHolds(app) },
    { name: 'routers without a working host', seconds: 2, run: () => sweepRouters(app) },
    { name: 'old tasks', seconds: 3600, run: () => app.tasks.prune() },
    { name: 'deleted volumes', seconds: 5, run: () => sweepDeletedVolumes(app) },
    { name: 'token keys and revocations', seconds: 3600, run: () => app.identity.tokens.housekeeping() },
  ];
}
