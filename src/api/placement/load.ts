import type { App } from '../../core/app.js';
import { summariseHosts } from '../../core/compute-host/summary.js';
import { notFound } from '../../core/errors.js';
import { providerGenerations } from '../../store/compute/placement.js';
import type { Provider } from './view.js';

/** Hosts that have told what they have, as resource providers. */
export async function listProviders(app: App): Promise<Provider[]> {
  const generations = await providerGenerations(app.store.read);
  return (await summariseHosts(app)).flatMap((summary) => {
    const generation = generations.get(summary.host.id);
    return generation === undefined ? [] : { summary, generation };
  });
}

export async function findProvider(app: App, id: string): Promise<Provider> {
  const provider = (await listProviders(app)).find(({ summary }) => summary.host.id === id);
  if (!provider) throw notFound(`No resource provider with uuid ${id} found`);
  return provider;
}
