import { findProject, type ProjectRow, projects } from '../../store/identity/projects.js';
import { findUser, type UserRow, users } from '../../store/identity/users.js';
import type { App } from '../app.js';
import type { PolicyTarget, TokenInfo } from '../context.js';
import { badRequest, notFound } from '../errors.js';
import { lookUp } from './credentials.js';
import { type Explanation, explain } from './explain.js';
import { policyName } from './names.js';
import { notesOnReach } from './reach.js';
import { notesOnRoles } from './role-names.js';
import type { RuleSet } from './rule-set.js';
import { applyChanges, type PolicyChange } from './stored.js';
import { imaginedTarget } from './target.js';

/** Whose request is imagined. Users, projects and domains by id, or by name in their domain. */
export interface PolicyQuestion {
  readonly user: string;
  /** Domain of the user and of the project, when they are given by name. */
  readonly userDomain: string;
  readonly projectDomain: string;
  /** The scope of the imagined token; none: the user's default project, else a token without scope. */
  readonly scope: { readonly project: string } | { readonly domain: string } | 'system' | null;
  readonly action: string;
  /** Attributes that replace those of a thing of the user's own in its project. */
  readonly target: PolicyTarget;
  /** Rules as if they were set. */
  readonly changes: readonly PolicyChange[];
}

export interface PolicyAnswer {
  readonly policy: string;
  readonly allowed: boolean;
  /** The rule that was tried. */
  readonly rule: unknown;
  readonly user: { readonly id: string; readonly name: string };
  readonly scope: string;
  readonly roles: readonly string[];
  readonly target: PolicyTarget;
  readonly explanation: Explanation;
  /** What stands in the way besides the rule, or may be missed. */
  readonly notes: readonly string[];
}

/** Whether a user might do something, and which part of the rule says so; nothing is changed. */
export async function checkPolicy(app: App, question: PolicyQuestion): Promise<PolicyAnswer> {
  const { stored } = app.policy;
  const name = policyName(app.policy, question.action);
  const after = applyChanges(stored, question.changes);
  const known = new Set(app.policy.problemsOf(stored).map(({ message }) => message));
  const problems = app.policy.problemsOf(after).filter(({ message }) => !known.has(message));
  if (problems.length > 0) throw badRequest(problems.map(({ message }) => message).join('\n'));
  const { token, notes } = await imagine(app, question);
  const rules = app.policy.candidate(after);
  const names = rules.targetNames(name);
  const target = imaginedTarget(token, question.target, { names, identity: name.startsWith('identity:') });
  const allowed = rules.check(name, token, target);
  const effective = app.policy.effective(after.rules);
  const entry = app.policy.list().find((one) => one.name === name)!;
  // the rules that came with the program may be about roles that this cloud has no use for
  const changed = rules.closure(name).filter((one) => after.rules.has(one) || app.policy.isOverridden(one));
  return {
    policy: name,
    allowed,
    rule: effective.get(name),
    user: { id: token.user.id, name: token.user.name },
    scope: scopeText(token),
    roles: token.roles.map((role) => role.name),
    target,
    explanation: explain(rules, name, token, target),
    notes: [
      ...notes,
      ...(allowed ? notesOnReach(rules, [entry]) : lacking(rules, name, target)),
      ...(await notesOnRoles(
        app.store.read,
        changed.map((one) => effective.get(one)),
      )),
    ],
  };
}

/** The token that the user would get. */
async function imagine(
  app: App,
  question: PolicyQuestion,
): Promise<{ token: TokenInfo; notes: readonly string[] }> {
  const user = await userOf(app, question);
  if (user.enabled === 0) throw badRequest(`User ${user.name} (${user.id}) is disabled: no token for it.`);
  const { scope, notes } = await scopeOf(app, question, user);
  // what it says is wanted, not the token: its text goes nowhere
  const issued = await app.identity.tokens.issue({ userId: user.id, methods: ['password'], scope });
  if (issued) return { token: issued.info, notes };
  throw badRequest(
    `User ${user.name} (${user.id}) gets no token for this scope: no role on it, or it is disabled.`,
  );
}

async function userOf(app: App, { user, userDomain }: PolicyQuestion): Promise<UserRow> {
  const db = app.store.read;
  const found = (await users.get(db, user)) ?? (await findUser(db, await domainId(app, userDomain), user));
  if (!found)
    throw notFound(`There is no user with the id '${user}', nor of that name in domain ${userDomain}.`);
  return found;
}

async function scopeOf(app: App, { scope, projectDomain }: PolicyQuestion, user: UserRow) {
  if (scope === 'system') return { scope: { kind: 'system' } as const, notes: [] };
  if (scope !== null && 'domain' in scope) {
    return { scope: { kind: 'domain', id: await domainId(app, scope.domain) } as const, notes: [] };
  }
  if (scope !== null) {
    const project = await projectOf(app, scope.project, projectDomain);
    return { scope: { kind: 'project', id: project.id } as const, notes: [] };
  }
  if (user.default_project_id !== null) {
    return { scope: { kind: 'project', id: user.default_project_id } as const, notes: [] };
  }
  const notes = ['no project was given and the user has no default one: a token without scope has no roles'];
  return { scope: { kind: 'unscoped' } as const, notes };
}

async function projectOf(app: App, project: string, domain: string): Promise<ProjectRow> {
  const db = app.store.read;
  const found =
    (await projects.get(db, project)) ?? (await findProject(db, await domainId(app, domain), project));
  if (!found)
    throw notFound(`There is no project with the id '${project}', nor of that name in domain ${domain}.`);
  return found;
}

/** The id of a domain given by its id or name; what is not found stays as it is, and finds nothing. */
async function domainId(app: App, domain: string): Promise<string> {
  const row = await projects.get(app.store.read, domain);
  if (row?.is_domain) return row.id;
  return (await findProject(app.store.read, '', domain))?.id ?? domain;
}

/** What a rule looks at and the target has not, nobody can have imagined. */
function lacking(rules: RuleSet, name: string, target: PolicyTarget): string[] {
  const missing = [...rules.targetNames(name)].filter((one) => lookUp(target, one) === undefined);
  if (missing.length === 0) return [];
  const options = missing.map((one) => `--target ${one}=…`).join(' ');
  return [
    `the rule looks at what is not known of the target (${missing.join(', ')}): give it with ${options}`,
  ];
}

function scopeText({ project, domain, system }: TokenInfo): string {
  if (project) return `project ${project.name} (${project.id})`;
  if (domain) return `domain ${domain.name} (${domain.id})`;
  return system ? 'system' : 'unscoped';
}
