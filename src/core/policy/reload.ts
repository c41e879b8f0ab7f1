import type { App } from '../app.js';

/** Reads the policy file, or another, again, and records what has changed by it; throws, and changes nothing, when it is wrong. */
export function reloadPolicyFile(app: App, file: string | null): void {
  for (const change of app.policy.reload(file)) {
    const target = { type: 'policy', id: change.name, name: change.name };
    const detail = { file, old: change.old, new: change.new };
    void app.audit.record({ action: 'maru:policies:reload', target, detail });
  }
  warnOfUnusedNames(app, file);
}

/** A policy file may be written for more services than there are here, or for others' releases. */
export function warnOfUnusedNames(app: App, file: string | null): void {
  const names = app.policy.unusedFileNames();
  if (names.length > 0) app.log.warn('the policy file has names that nothing here has', { file, names });
}
