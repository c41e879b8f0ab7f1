import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { ANONYMOUS } from '../../src/api/shared/context.js';
import type { PolicyTarget, TokenInfo } from '../../src/core/context.js';
import { RulePolicy } from '../../src/core/policy/engine.js';
import { findProblems } from '../../src/core/policy/problems.js';

const directory = mkdtempSync(join(tmpdir(), 'maru-policy-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const DEFAULT = { id: 'default', name: 'Default' };

function token(roles: readonly string[], scope: Partial<TokenInfo> = {}): TokenInfo {
  return {
    ...ANONYMOUS,
    user: { id: 'u1', name: 'user', domain: DEFAULT, password_expires_at: null },
    project: { id: 'p1', name: 'project', domain: DEFAULT },
    roles: roles.map((name) => ({ id: name, name })),
    ...scope,
  };
}

function allows(rule: string, who: TokenInfo, target: PolicyTarget = {}): boolean {
  const policy = new RulePolicy(null);
  policy.register('tested', rule);
  policy.verify();
  return policy.check('tested', who, target);
}

describe('rules', () => {
  const member = token(['member', 'reader']);

  it.each([
    ['', true],
    ['@', true],
    ['!', false],
    ['role:member', true],
    ['role:MEMBER', true],
    ['role:admin', false],
    ['not role:admin', true],
    ['not not role:admin', false],
    ['role:admin or role:reader and role:member', true],
    ['(role:admin or role:reader) and role:admin', false],
    ['role:reader or role:admin and role:admin', true],
    ['NOT role:admin AND role:member', true],
    ['user_id:u1', true],
    ['user_id:%(user_id)s', true],
    ['project_id:%(project_id)s and role:member', true],
    ['project_id:%(other.project_id)s', false],
    ['project_id:%(nested.project_id)s', true],
    ['tenant_id:%(project_id)s', true],
    ["'x':%(nested.letter)s", true],
    ["'two words':%(words)s", true],
    ['"x":%(nested.letter)s', true],
    ["'x':%(words)s", false],
    ['True:%(shared)s', true],
    ['False:%(shared)s', false],
    ['None:%(nothing)s', true],
    ['None:%(absent)s', false],
    ['domain_id:None', true],
    ['not domain_id:None', false],
    ['project_id:None', false],
    ['unknown_attribute:None', false],
    ['is_admin:True', false],
    ['is_admin:False', true],
    ['system_scope:all', false],
    ['domain_id:%(domain_id)s', false],
    ['token.project.domain.id:default', true],
    ['user_domain_id:default', true],
    ['unknown_attribute:value', false],
  ])('%s → %s', (rule, expected) => {
    const target = {
      user_id: 'u1',
      project_id: 'p1',
      domain_id: 'd1',
      nested: { project_id: 'p1', letter: 'x' },
      'other.project_id': 'p2',
      words: 'two words',
      shared: true,
      nothing: null,
    };
    expect(allows(rule, member, target)).toBe(expected);
  });

  it.each([
    'role:admin or',
    'and role:admin',
    '(role:admin',
    'role:admin)',
    'role',
    ':x',
    'role:admin role:member',
    'not',
    "'x:%(y)s",
    'http://example.org/check',
  ])('refuses %s', (rule) => {
    expect(() => allows(rule, member)).toThrow(/policy tested: /);
  });

  it('lets nothing equal what a token does not have', () => {
    expect(
      allows('project_id:%(project_id)s', token(['member'], { project: null }), { project_id: '' }),
    ).toBe(false);
    for (const rule of ['user_id:%(user_id)s', 'project_id:%(project_id)s', 'domain_id:%(domain_id)s']) {
      expect(allows(rule, ANONYMOUS, { user_id: '', project_id: '', domain_id: '' })).toBe(false);
      expect(allows(rule, ANONYMOUS, { user_id: null, project_id: null, domain_id: null })).toBe(false);
      expect(allows(rule, ANONYMOUS, {})).toBe(false);
    }
  });

  it('takes nothing that a body has in place of an id for that id', () => {
    expect(allows('user_id:%(user_id)s', member, { user_id: 'u1' })).toBe(true);
    for (const user_id of [['u1'], [{ toString: [] }], { toString: 'u1' }, [['u1']], {}]) {
      expect(allows('user_id:%(user_id)s', member, { user_id } as unknown as PolicyTarget)).toBe(false);
    }
  });
});

describe('secure RBAC', () => {
  const mine = { project_id: 'p1' };
  const theirs = { project_id: 'p2' };

  it.each([
    ['project_reader_or_admin', ['reader'], mine, true],
    ['project_reader_or_admin', ['reader'], theirs, false],
    ['project_member_or_admin', ['reader'], mine, false],
    ['project_member_or_admin', ['member', 'reader'], mine, true],
    ['project_manager_or_admin', ['member', 'reader'], mine, false],
    ['project_member_or_admin', ['admin'], theirs, true],
    ['admin_or_owner', ['member'], theirs, false],
    ['context_is_admin', ['member'], mine, false],
    ['system_reader', ['reader'], mine, false],
  ] as const)('%s as %j of %j: %s', (rule, roles, target, expected) => {
    expect(allows(`rule:${rule}`, token(roles), target)).toBe(expected);
  });

  it('knows the system scope', () => {
    const reader = token(['reader'], { project: null, system: { all: true } });
    expect(allows('rule:system_reader', reader)).toBe(true);
    expect(allows('rule:system_admin', reader)).toBe(false);
  });
});

describe('the engine', () => {
  const file = join(directory, 'policy.yaml');
  const open = (content: string) => {
    writeFileSync(file, content);
    const policy = new RulePolicy(file);
    policy.register('servers:create', 'rule:project_member_or_admin');
    return policy;
  };
  const reader = token(['reader']);

  it('denies what it does not know', () => {
    expect(new RulePolicy(null).check('no:such', token(['admin']), {})).toBe(false);
  });

  it('takes overrides in text and list form, and takes them anew', () => {
    const policy = open('servers:create: [["role:reader", "project_id:%(project_id)s"], ["role:auditor"]]\n');
    policy.verify();
    expect(policy.check('servers:create', reader, { project_id: 'p1' })).toBe(true);
    expect(policy.check('servers:create', reader, { project_id: 'p2' })).toBe(false);
    expect(policy.check('servers:create', token(['auditor']), {})).toBe(true);
    writeFileSync(file, '"servers:create": "!"\n');
    policy.reload();
    expect(policy.check('servers:create', reader, { project_id: 'p1' })).toBe(false);
    writeFileSync(file, '"servers:create": "role:"and\n');
    expect(() => policy.reload()).toThrow(file);
    expect(policy.check('servers:create', reader, { project_id: 'p1' })).toBe(false);
  });

  it('counts an overridden context_is_admin everywhere', () => {
    const policy = open('context_is_admin: role:operator\n');
    policy.verify();
    expect(policy.check('servers:create', token(['operator']), { project_id: 'p2' })).toBe(true);
    expect(policy.check('servers:create', token(['admin']), { project_id: 'p2' })).toBe(false);
  });

  it('refuses names that no operation has, unknown references and circles', () => {
    expect(() => open('servers:crate: "@"\n').verify()).toThrow("no policy named 'servers:crate'");
    expect(() => open('servers:create: rule:nobody\n').verify()).toThrow("refers to rule 'nobody'");
    expect(() => open('context_is_admin: is_admin:True\n').verify()).toThrow('in a circle');
    expect(() => open('- a list\n')).toThrow('expected a mapping');
  });

  it('refuses two defaults for one name', () => {
    const policy = open('');
    expect(() => policy.register('servers:create', '@')).toThrow('declared twice');
  });
});

describe('any rule', () => {
  type Tree = { text: string; value: boolean };
  const leaf: fc.Arbitrary<Tree> = fc.constantFrom(
    { text: '@', value: true },
    { text: '!', value: false },
    { text: 'role:member', value: true },
    { text: 'role:nobody', value: false },
    { text: "'a b':%(words)s", value: true },
    { text: 'project_id:%(project_id)s', value: false },
  );
  const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 5 },
      leaf,
      fc.tuple(tie('tree'), tie('tree'), fc.constantFrom('and', 'or')).map(([a, b, op]) => ({
        text: `(${a.text}) ${op} (${b.text})`,
        value: op === 'and' ? a.value && b.value : a.value || b.value,
      })),
      tie('tree').map((a) => ({ text: `not (${a.text})`, value: !a.value })),
    ),
  }));

  it('means what its parts mean', () => {
    fc.assert(
      fc.property(tree, ({ text, value }) => {
        const target = { words: 'a b', project_id: 'p2' };
        expect(allows(text, token(['member']), target)).toBe(value);
      }),
    );
  });

  it('is read or refused, never crashes otherwise', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          allows(text, token(['member']));
        } catch (error) {
          expect(String(error)).toMatch(/policy/);
        }
      }),
    );
  });
});

describe('rules that are too deep', () => {
  const nested = (open: string, close: string) => `${open.repeat(4000)}@${close.repeat(4000)}`;

  it.each([nested('(', ')'), nested('not ', '')])('are refused, and do not end the stack', (rule) => {
    expect(() => allows(rule, token([]))).toThrow("more than 100 parentheses and 'not's within each other");
  });

  it('may lie side by side in any number', () => {
    expect(allows(Array(500).fill('(role:nobody)').join(' or '), token([]))).toBe(false);
  });

  const chain = (length: number, last: string) =>
    new Map(Array.from({ length }, (_, i) => [`r${i}`, i === length - 1 ? last : `rule:r${i + 1}`]));

  it('are refused as chains of references, in time', () => {
    expect(findProblems(chain(101, '@'))).toEqual([]);
    // following the rest of the chain from each of them would take minutes
    const problems = findProblems(chain(20_000, '@'));
    expect(problems[0]).toMatchObject({ message: expect.stringContaining('a chain of more than 100 rules') });
    // with these denied the rest can be checked
    const denied = new Map([...chain(20_000, '@'), ...problems.map(({ name }) => [name, '!'] as const)]);
    expect(findProblems(denied)).toEqual([]);
  }, 30_000);

  it('are refused as circles, of any length', () => {
    const [problem] = findProblems(chain(5000, 'rule:r4000'));
    expect(problem!.message).toMatch(/in a circle: r4000 → r4001 .* → r4999 → r4000$/);
  });
});
