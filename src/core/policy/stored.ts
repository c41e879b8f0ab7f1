import {
  changePolicyOverrides,
  listPolicyOverrides,
  lockPolicies,
  type PolicyOverrideRow,
  policyRevision,
} from '../../store/policies.js';
import { nowText, type Reader, type Tx } from '../../store/store.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { badRequest, conflict } from '../errors.js';
import type { StoredRules } from './engine.js';
import type { PolicyProblem } from './problems.js';
import { warnOfReach, warnOfUnusedNames } from './reload.js';
import { ownTarget } from './target.js';

/** The policies of the policy API itself: who sets rules must still be able to set them back. */
export const POLICY_API = {
  list: 'maru:policies:list',
  show: 'maru:policies:show',
  set: 'maru:policies:set',
  unset: 'maru:policies:unset',
  import: 'maru:policies:import',
  check: 'maru:policies:check',
} as const;

/** A change of one stored rule; null removes it. */
export interface PolicyChange {
  readonly name: string;
  readonly rule: unknown;
  /** The name is new, for other rules to refer to. */
  readonly own?: boolean;
}

/** A change as it was made; null: no rule of its own. */
export interface MadeChange {
  readonly name: string;
  readonly old: unknown;
  readonly new: unknown;
}

/**
 * Brings the stored rules into force now and after every change, by whichever controller: a change raises the identity epoch,
 * which every request compares anyway, and only when it has risen are the rules looked at.
 */
export async function followStoredPolicies(app: App): Promise<void> {
  let known = -1;
  let last: Promise<void> = Promise.resolve();
  const look = async () => {
    const revision = await policyRevision(app.store.read);
    if (revision === known) return;
    const problems = app.policy.replaceStored(await readStored(app.store.read));
    known = revision;
    for (const { name, message } of problems) {
      app.log.error('a stored policy rule cannot be used', { policy: name, problem: message });
    }
  };
  // one after the other, so that what was read first never replaces what was read last
  const refresh = () => {
    last = last.then(look, look);
    return last;
  };
  app.identity.follow(refresh);
  await refresh();
  warnOfUnusedNames(app, app.config.policy_file);
  warnOfReach(app);
}

/**
 * Stores and removes rules, all or none. `replace`: those that are not named go. Returns what each name had before. Refuses (400)
 * what is wrong, naming each problem, and (409) what would keep the caller from changing policies again.
 */
export async function changePolicies(
  app: App,
  ctx: Context,
  changes: readonly PolicyChange[],
  { replace = false }: { readonly replace?: boolean } = {},
): Promise<readonly MadeChange[]> {
  const made = await app.identity.write(async (tx) => {
    await lockPolicies(app.store, tx);
    const before = await readStored(tx);
    const wanted = new Map(changes.map((change) => [change.name, change]));
    if (replace) {
      for (const name of before.rules.keys()) if (!wanted.has(name)) wanted.set(name, { name, rule: null });
    }
    const after = applyChanges(before, [...wanted.values()]);
    refuseProblems(app.policy.problemsOf(before), app.policy.problemsOf(after));
    refuseLockOut(app, ctx, before, after);
    const made = [...wanted.values()]
      .map(({ name, rule }) => ({ name, old: before.rules.get(name) ?? null, new: rule }))
      .filter((change) => JSON.stringify(change.old) !== JSON.stringify(change.new));
    const put = made.filter((change) => change.new !== null).map((change) => rowOf(app, ctx, change));
    const removed = made.filter((change) => change.new === null).map(({ name }) => name);
    if (made.length > 0) await changePolicyOverrides(tx, put, removed);
    await recordChanges(app, ctx, tx, made);
    return made;
  });
  // what is answered shows what is in force
  await app.identity.settled();
  return made;
}

/** What is stored, with the changes. */
export function applyChanges(before: StoredRules, changes: readonly PolicyChange[]): StoredRules {
  const rules = new Map(before.rules);
  const own = new Set(before.own);
  for (const { name, rule, own: isOwn } of changes) {
    if (rule === null) {
      rules.delete(name);
      own.delete(name);
      continue;
    }
    rules.set(name, rule);
    if (isOwn) own.add(name);
  }
  return { rules, own };
}

/** Who set each stored rule, and when. */
export async function storedSince(
  db: Reader,
): Promise<ReadonlyMap<string, Pick<PolicyOverrideRow, 'updated_at' | 'updated_by'>>> {
  return new Map((await listPolicyOverrides(db)).map((row) => [row.name, row]));
}

async function readStored(db: Reader): Promise<StoredRules> {
  const rows = await listPolicyOverrides(db);
  return {
    rules: new Map(rows.map((row) => [row.name, JSON.parse(row.rule) as unknown])),
    own: new Set(rows.filter((row) => row.own === 1).map((row) => row.name)),
  };
}

/** One change belongs to the record of its request; of several, each has a record of its own besides. */
async function recordChanges(
  app: App,
  { token }: Context,
  tx: Tx,
  made: readonly MadeChange[],
): Promise<void> {
  const [only] = made;
  if (only && made.length === 1) app.audit.note(noteOf(only));
  else {
    for (const change of made) {
      await app.audit.record({ action: POLICY_API.import, user: token.user, ...noteOf(change) }, tx);
    }
  }
}

function noteOf(change: MadeChange) {
  const target = { type: 'policy', id: change.name, name: change.name };
  return { target, detail: { old: change.old, new: change.new } };
}

/** What has not been refused is either an operation's, or a name of the administrator's own. */
function rowOf(app: App, ctx: Context, { name, new: rule }: MadeChange): PolicyOverrideRow {
  return {
    name,
    rule: JSON.stringify(rule),
    own: app.policy.isDeclared(name) ? 0 : 1,
    updated_at: nowText(),
    updated_by: ctx.userId || null,
  };
}

/** What was wrong before must not keep anybody from mending it piece by piece. */
function refuseProblems(before: readonly PolicyProblem[], after: readonly PolicyProblem[]): void {
  const known = new Set(before.map(({ message }) => message));
  const added = after.filter(({ message }) => !known.has(message));
  if (added.length > 0) throw badRequest(added.map(({ message }) => message).join('\n'));
}

function refuseLockOut(app: App, { token }: Context, before: StoredRules, after: StoredRules): void {
  const [could, can] = [app.policy.candidate(before), app.policy.candidate(after)];
  const target = ownTarget(token);
  const lost = Object.values(POLICY_API).filter(
    (name) => could.check(name, token, target) && !can.check(name, token, target),
  );
  if (lost.length === 0) return;
  throw conflict(
    `This would lock you out of the policy API: after it you could not do ${lost.join(', ')} any more, nor undo it.`,
  );
}
