import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ANONYMOUS } from '../../src/api/shared/context.js';
import { explanationLines, policyFile } from '../../src/cli/policy.js';
import type { TokenInfo } from '../../src/core/context.js';
import { RulePolicy } from '../../src/core/policy/engine.js';
import { explain } from '../../src/core/policy/explain.js';
import { parsePolicies } from '../../src/core/policy/file.js';
import { parseRule } from '../../src/core/policy/parse.js';
import { RuleSet } from '../../src/core/policy/rule-set.js';

const directory = mkdtempSync(join(tmpdir(), 'maru-policy-layers-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const USE = { service: 'compute', method: 'POST', path: '/compute/v2.1/servers', summary: 'Create servers' };

function open(content: string | null): RulePolicy {
  const file = join(directory, 'policy.yaml');
  if (content !== null) writeFileSync(file, content);
  const policy = new RulePolicy(content === null ? null : file);
  policy.register('servers:create', 'rule:project_member_or_admin', USE);
  policy.register('servers:delete', 'rule:project_member_or_admin');
  policy.verify();
  return policy;
}

const DOMAIN = { id: 'default', name: 'Default' };
const token = (...roles: string[]): TokenInfo => ({
  ...ANONYMOUS,
  user: { id: 'u1', name: 'anna', domain: DOMAIN, password_expires_at: null },
  project: { id: 'p1', name: 'web', domain: DOMAIN },
  roles: roles.map((name) => ({ id: name, name })),
});
const stored = (rules: Record<string, unknown>, own: string[] = []) => ({
  rules: new Map(Object.entries(rules)),
  own: new Set(own),
});
const may = (policy: RulePolicy, name: string, role: string) =>
  policy.check(name, token(role), { project_id: 'p1', user_id: 'u1' });

describe('policy files of OpenStack', () => {
  it('may have names of their own, which other rules refer to, and names of what there is not here', () => {
    const policy = open(
      [
        'operators: role:operator and project_id:%(project_id)s',
        'servers:create: rule:operators or rule:project_member_api',
        'os_compute_api:os-baremetal-nodes:list: rule:system_reader_api',
        'identity:create_protocol: ""',
      ].join('\n'),
    );
    expect(may(policy, 'servers:create', 'operator')).toBe(true);
    expect(may(policy, 'servers:create', 'reader')).toBe(false);
    expect(policy.unusedFileNames()).toEqual([
      'os_compute_api:os-baremetal-nodes:list',
      'identity:create_protocol',
    ]);
  });

  it('may not have misspelt names', () => {
    expect(() => open('servers:crate: "@"\n')).toThrow("did you mean 'servers:create'?");
    expect(() => open('project_membr: "@"\n')).toThrow("did you mean 'project_member'?");
  });

  it('may check fields, as Neutron’s do', () => {
    const rules = new RuleSet();
    rules.put('shared', 'field:networks:shared=True');
    rules.put('named', 'field:networks:name=~prod-.*');
    const check = (name: string, target: object) => rules.check(name, token(), { ...target });
    expect(check('shared', { shared: true })).toBe(true);
    expect(check('shared', { shared: false })).toBe(false);
    expect(check('shared', {})).toBe(false);
    expect(check('named', { name: 'prod-1' })).toBe(true);
    expect(check('named', { name: 'test' })).toBe(false);
    expect(() => rules.put('wrong', 'field:networks:name=~(')).toThrow('policy wrong');
    expect([...rules.targetNames('named')]).toEqual(['name']);
  });
});

describe('what is stored', () => {
  it('replaces the file, which replaces the default', () => {
    const policy = open('servers:create: role:from_file\n');
    expect(may(policy, 'servers:create', 'from_file')).toBe(true);
    expect(policy.replaceStored(stored({ 'servers:create': 'role:from_api' }))).toEqual([]);
    expect(may(policy, 'servers:create', 'from_file')).toBe(false);
    expect(may(policy, 'servers:create', 'from_api')).toBe(true);
    policy.replaceStored(stored({}));
    expect(may(policy, 'servers:create', 'from_file')).toBe(true);
  });

  it('and no longer usable denies, and is told, instead of stopping anything', () => {
    const policy = open(null);
    const problems = policy.replaceStored(
      stored({
        'servers:create': 'rule:gone',
        'servers:delete': 'role:member or',
        'of:another:release': '@',
        one: 'rule:two',
        two: 'rule:one',
      }),
    );
    expect(problems.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['servers:create', 'servers:delete', 'of:another:release', 'one']),
    );
    for (const name of ['servers:create', 'servers:delete', 'one', 'two', 'of:another:release']) {
      expect(may(policy, name, 'admin'), name).toBe(false);
    }
    expect(may(policy, 'context_is_admin', 'admin')).toBe(true);
  });

  it('keeps names of one’s own that nothing refers to yet', () => {
    const policy = open(null);
    expect(policy.problemsOf(stored({ team: 'role:team' }, ['team']))).toEqual([]);
    expect(policy.problemsOf(stored({ team: 'role:team' }))).toHaveLength(1);
    expect(policy.replaceStored(stored({ team: 'role:team' }, ['team']))).toEqual([]);
    expect(may(policy, 'team', 'team')).toBe(true);
  });

  it('tells every problem of a change', () => {
    const problems = open(null).problemsOf(
      stored({ 'servers:create': '(role:a', 'servers:delete': 'rule:membr', crate: '@' }),
    );
    expect(problems).toMatchObject([
      { name: 'crate' },
      { name: 'servers:create', position: 8 },
      { name: 'servers:delete' },
    ]);
  });
});

describe('rules that look at the thing', () => {
  it('say at which of its attributes, through what they refer to', () => {
    const policy = open(null);
    expect([...policy.targetNames('servers:create')]).toEqual(['project_id']);
    policy.replaceStored(stored({ project_member: "role:member and 'x':%(name)s and user_id:%(user_id)s" }));
    expect([...policy.targetNames('servers:create')].toSorted()).toEqual(['name', 'user_id']);
  });
});

describe('an explanation', () => {
  const lines = (rule: string, who: TokenInfo, target: Record<string, unknown>) => {
    const rules = new RuleSet();
    for (const [name, text] of Object.entries({ tried: rule, context_is_admin: 'role:admin' }))
      rules.put(name, text);
    const explanation = explain(rules, 'tried', who, target);
    expect(explanation.holds).toBe(rules.check('tried', who, target));
    return explanationLines(explanation);
  };

  it('shows each part, whether it holds, and what was compared', () => {
    expect(
      lines(
        "is_admin:True or (role:member and user_id:%(user_id)s and not 'prod':%(name)s)",
        token('member', 'reader'),
        { user_id: 'u2', name: 'prod' },
      ),
    ).toEqual([
      '✗ tried',
      '  ✗ or',
      '    ✗ is_admin:True',
      '      ✗ rule:context_is_admin',
      '        ✗ role:admin  (the user has roles member, reader)',
      '    ✗ and',
      '      ✓ role:member  (the user has roles member, reader)',
      "      ✗ user_id:%(user_id)s  (the token's user_id is 'u1'; the target's is 'u2')",
      '      ✗ not',
      "        ✓ 'prod':%(name)s  (the target's is 'prod')",
    ]);
  });

  it('names what the token or the target lacks', () => {
    const text = lines('user_id:%(owner)s or domain_id:%(name)s or rule:absent or !', token(), { name: 'x' });
    expect(text.join('\n')).toContain('the target has no owner');
    expect(text.join('\n')).toContain('the token has no domain_id');
    expect(text.join('\n')).toContain('there is no rule of this name');
    expect(text.join('\n')).toContain('✗ !  (nobody)');
  });
});

describe('an exported file', () => {
  it('is what differs from the defaults, and reads back the same', () => {
    const policy = open('servers:delete: [["role:a", "role:b"], ["role:c"]]\n');
    policy.replaceStored(stored({ 'servers:create': "role:x and 'a b':%(name)s", own: 'role:y' }, ['own']));
    const entries = policy.list().map((entry) => ({ ...entry, updated_at: null, updated_by: null }));
    const text = policyFile(entries, false);
    expect(text).toContain('# compute: POST /compute/v2.1/servers: Create servers');
    expect(text).toContain('# default: rule:project_member_or_admin');
    expect(Object.fromEntries(parsePolicies(text, 'it'))).toEqual({
      'servers:create': "role:x and 'a b':%(name)s",
      'servers:delete': [['role:a', 'role:b'], ['role:c']],
      own: 'role:y',
    });
    const all = policyFile(entries, true);
    expect(parsePolicies(all, 'it').size).toBe(3);
    expect(all).toContain('#"context_is_admin": "role:admin"');
    expect(parsePolicies(policyFile([], false), 'it').size).toBe(0);
  });
});

describe('a rule that cannot be read', () => {
  it.each([
    ['role:a and', 11],
    ['(role:a', 8],
    ['role:a) or role:b', 7],
    ['role:a role:b', 8],
    ['role:a or nonsense', 11],
    ["role:a or 'x:%(y)s", 11],
  ])('%s: is wrong at character %i', (rule, position) => {
    expect(() => parseRule(rule)).toThrow(expect.objectContaining({ position }));
  });
});
