import type { TokenInfo } from '../../src/core/context.js';
import { createRole } from '../../src/core/role/role.js';
import { addAssignment, findRole } from '../../src/store/identity/roles.js';
import type { TestApp, TestUser } from './app.js';

/** Somebody who asks, with what the token says. */
export interface Persona extends TestUser {
  readonly name: string;
  readonly info: TokenInfo;
}

/** Roles that a project's people have, one each; `custom` is a role of an administrator's own, that implies nothing. */
const PROJECT_ROLES = ['manager', 'member', 'reader', 'service', 'custom'] as const;

/**
 * Everybody whom default rules tell apart: the administrator (of a project, and of the system), one user of each role in project
 * `ours`, and one without a scope.
 */
export async function makePersonas(cloud: TestApp): Promise<readonly Persona[]> {
  const { app } = cloud;
  if (!(await findRole(app.store.read, 'custom'))) await createRole(app, { name: 'custom' });
  const admin = await cloud.admin();
  const reader = await cloud.projectUser('ours', 'reader');
  await app.identity.write(async (tx) => {
    await addAssignment(tx, {
      actor_type: 'user',
      actor_id: reader.userId,
      target_type: 'system',
      target_id: 'all',
      role_id: (await findRole(tx, 'reader'))!.id,
      inherited: 0,
    });
  });
  const of = async (name: string, userId: string, scope: Scope): Promise<Persona> => {
    const issued = await app.identity.tokens.issue({ userId, methods: ['password'], scope });
    if (!issued) throw new Error(`no token for ${name}`);
    return { name, token: issued.text, info: issued.info, userId, projectId: issued.info.project?.id ?? '' };
  };
  const ours: Persona[] = [];
  for (const role of PROJECT_ROLES) {
    const user = await cloud.projectUser('ours', role);
    ours.push(await of(role, user.userId, { kind: 'project', id: user.projectId }));
  }
  return [
    await of('admin', admin.userId, { kind: 'project', id: admin.projectId }),
    await of('system-admin', admin.userId, { kind: 'system' }),
    ...ours,
    await of('system-reader', reader.userId, { kind: 'system' }),
    await of('unscoped', reader.userId, { kind: 'unscoped' }),
  ];
}

type Scope = Parameters<TestApp['app']['identity']['tokens']['issue']>[0]['scope'];
