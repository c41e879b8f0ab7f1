import type { App } from '../app.js';
import { notesOnReach } from './reach.js';

/** Reads the policy file, or another, again, and records what has changed by it; throws, and changes nothing, when it is wrong. */
export function reloadPolicyFile(app: App, file: string | null): void {
  for (const change of app.policy.reload(file)) {
    const target = { type: 'policy', id: change.name, name: change.name };
    const detail = { file, old: change.old, new: change.new };
    void app.audit.record({ action: 'maru:policies:reload', target, detail });
  }
  warnOfUnusedNames(app, file);
  warnOfReach(app);
}

/** Rules from a file, unlike those that are set through the API, come into force without anybody being told what they open. */
export function warnOfReach(app: App): void {
  const { policy } = app;
  const custom = policy.list().filter(({ name }) => policy.isCustom(name));
  for (const note of notesOnReach(policy.candidate(policy.stored), custom)) {
    app.log.warn('policy rules open what they may not be meant to', { note });
  }
}

/** A policy file may be written for more services than there are here, or for others' releases. */
export function warnOfUnusedNames(app: App, file: string | null): void {
  const names = app.policy.unusedFileNames();
  if (names.length > 0) app.log.warn('the policy file has names that nothing here has', { file, names });
}
