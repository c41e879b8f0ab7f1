import { badRequest, conflict } from '../../core/errors.js';
import { checkPolicy, type PolicyAnswer } from '../../core/policy/check.js';
import type { PolicyEntry } from '../../core/policy/engine.js';
import { findPolicyName, policyName } from '../../core/policy/names.js';
import { notesOnReach } from '../../core/policy/reach.js';
import { notesOnRoles } from '../../core/policy/role-names.js';
import { changePolicies, POLICY_API, type PolicyChange, storedSince } from '../../core/policy/stored.js';
import type { Operation, OpRequest, Schema } from '../shared/operation.js';

/** A policy, as administrators see it. */
export interface PolicyView extends PolicyEntry {
  /** Of the stored rule; null when there is none. */
  readonly updated_at: string | null;
  readonly updated_by: string | null;
}

/** What has been changed. */
export interface PolicyChangeView {
  readonly name: string;
  readonly old: unknown;
  readonly new: unknown;
}

export type { PolicyAnswer };

const ADMIN = 'rule:context_is_admin';
const NAME: Schema = { type: 'string', minLength: 1, maxLength: 255, pattern: '^[A-Za-z_][\\w:.\\-]*$' };
const RULE: Schema = {
  type: ['string', 'array'],
  maxLength: 8_000,
  maxItems: 200,
  items: { type: ['string', 'array'], items: { type: 'string' } },
};
const RULES: Schema = {
  type: 'object',
  maxProperties: 5_000,
  propertyNames: NAME,
  additionalProperties: RULE,
};
const TEXT: Schema = { type: 'string', minLength: 1, maxLength: 255 };

/**
 * Rules of all services, under `/maru` with what else operators need: Keystone's own paths belong to Keystone, whose
 * `/policies` stores documents that nothing evaluates.
 */
export const policyOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v1/policies',
    policy: { name: POLICY_API.list, rule: ADMIN },
    summary: 'List policies: the rule in force, where it comes from and what it governs',
    status: 200,
    handler: async ({ app }) => ({ policies: await views(app) }),
  },
  {
    method: 'GET',
    path: '/v1/policies/:name',
    policy: { name: POLICY_API.show, rule: ADMIN },
    summary: 'Show a policy',
    status: 200,
    handler: async ({ app, params }) => ({ policy: await view(app, params.name!) }),
  },
  {
    method: 'PUT',
    path: '/v1/policies/:name',
    policy: { name: POLICY_API.set, rule: ADMIN },
    summary: 'Set the rule of a policy',
    body: envelope('policy', { rule: RULE, own: { type: 'boolean' } }, ['rule']),
    status: 200,
    handler: setPolicy,
  },
  {
    method: 'DELETE',
    path: '/v1/policies/:name',
    policy: { name: POLICY_API.unset, rule: ADMIN },
    summary: 'Remove the rule that was set for a policy, so that the file’s or the default holds again',
    status: 204,
    handler: async ({ app, ctx, params }) => {
      await changePolicies(app, ctx, [{ name: policyName(app.policy, params.name!), rule: null }]);
    },
  },
  {
    method: 'PUT',
    path: '/v1/policies',
    policy: { name: POLICY_API.import, rule: ADMIN },
    summary: 'Set the rules of several policies, all or none',
    body: {
      type: 'object',
      required: ['policies'],
      properties: { policies: RULES, replace: { type: 'boolean' } },
      additionalProperties: false,
    },
    status: 200,
    handler: async ({
      app,
      ctx,
      body,
    }: OpRequest<{ policies: Record<string, unknown>; replace?: boolean }>) => ({
      changes: await changePolicies(app, ctx, changesOf(body.policies), { replace: body.replace === true }),
      notes: await notesOn(app, body.policies),
    }),
  },
  {
    method: 'POST',
    path: '/v1/policies/check',
    policy: { name: POLICY_API.check, rule: ADMIN },
    audit: 'none',
    summary: 'Try a policy for a user and a target, with rules as they are or as they might be',
    body: envelope(
      'check',
      {
        user: TEXT,
        user_domain: TEXT,
        project: TEXT,
        project_domain: TEXT,
        domain: TEXT,
        system: { type: 'boolean' },
        action: TEXT,
        target: { type: 'object', maxProperties: 100 },
        rule: RULE,
        rules: RULES,
      },
      ['user', 'action'],
    ),
    status: 200,
    handler: check,
  },
];

interface CheckBody {
  readonly user: string;
  readonly user_domain?: string;
  readonly project?: string;
  readonly project_domain?: string;
  readonly domain?: string;
  readonly system?: boolean;
  readonly action: string;
  readonly target?: Record<string, unknown>;
  readonly rule?: unknown;
  readonly rules?: Record<string, unknown>;
}

async function setPolicy({
  app,
  ctx,
  params,
  body,
}: OpRequest<{ policy: { rule: unknown; own?: boolean } }>): Promise<{
  policy: PolicyView;
  notes: readonly string[];
}> {
  const { rule, own = false } = body.policy;
  // a new name is the administrator's own only when that is said; otherwise it is probably misspelt
  const name = own
    ? (findPolicyName(app.policy, params.name!) ?? params.name!)
    : policyName(app.policy, params.name!, badRequest);
  if (own && app.policy.isDeclared(name)) {
    throw conflict(`Policy ${name} is not new: to set its rule, leave "own" (maru policy set --new) out.`);
  }
  await changePolicies(app, ctx, [{ name, rule, own }]);
  return { policy: await view(app, name), notes: await notesOn(app, { [name]: rule }) };
}

/** What may be a mistake in rules that have been set. */
async function notesOn(app: OpRequest['app'], rules: Readonly<Record<string, unknown>>): Promise<string[]> {
  const known = app.policy.candidate(app.policy.stored);
  const names = new Set(Object.keys(rules).map((name) => findPolicyName(app.policy, name) ?? name));
  // a rule that others refer to changes what they allow
  const changed = app.policy.list().filter(({ name }) => known.closure(name).some((one) => names.has(one)));
  return [...(await notesOnRoles(app.store.read, Object.values(rules))), ...notesOnReach(known, changed)];
}

async function check({ app, body }: OpRequest<{ check: CheckBody }>): Promise<{ check: PolicyAnswer }> {
  const asked = body.check;
  const changes = changesOf(asked.rules ?? {});
  if (asked.rule !== undefined) {
    const name = policyName(app.policy, asked.action);
    changes.push({ name, rule: asked.rule });
  }
  const answer = await checkPolicy(app, {
    user: asked.user,
    userDomain: asked.user_domain ?? 'default',
    projectDomain: asked.project_domain ?? 'default',
    scope:
      asked.project !== undefined
        ? { project: asked.project }
        : asked.domain !== undefined
          ? { domain: asked.domain }
          : asked.system
            ? 'system'
            : null,
    action: asked.action,
    target: asked.target ?? {},
    changes,
  });
  return { check: answer };
}

function changesOf(rules: Readonly<Record<string, unknown>>): PolicyChange[] {
  return Object.entries(rules).map(([name, rule]) => ({ name, rule }));
}

async function view(app: OpRequest['app'], name: string): Promise<PolicyView> {
  const known = policyName(app.policy, name);
  return (await views(app)).find((one) => one.name === known)!;
}

async function views(app: OpRequest['app']): Promise<PolicyView[]> {
  const since = await storedSince(app.store.read);
  return app.policy.list().map((entry) => ({
    ...entry,
    updated_at: since.get(entry.name)?.updated_at ?? null,
    updated_by: since.get(entry.name)?.updated_by ?? null,
  }));
}

function envelope(
  key: string,
  properties: Readonly<Record<string, Schema>>,
  required: readonly string[],
): Schema {
  const inner = { type: 'object', required, properties, additionalProperties: false };
  return { type: 'object', required: [key], properties: { [key]: inner }, additionalProperties: false };
}
