import { type Kysely, type Migration, Migrator } from 'kysely';
import { createAuditTables } from './migrations/audit.js';
import { indexAuditShares } from './migrations/audit-share.js';
import { createAuthorityTables } from './migrations/authority.js';
import { createComputeTables } from './migrations/compute.js';
import { createControllerTables } from './migrations/controllers.js';
import { createDelegationTables } from './migrations/delegation.js';
import { createDriftTables } from './migrations/drift.js';
import { createHostTables } from './migrations/host.js';
import { createIdentityTables } from './migrations/identity.js';
import { createImageTables } from './migrations/image.js';
import { createLimitTables } from './migrations/limits.js';
import { createNetworkTables } from './migrations/network.js';
import { createPolicyTables } from './migrations/policy.js';
import { addSecurityColumns } from './migrations/security.js';
import { createSharedTables } from './migrations/shared.js';
import { createTaskTables } from './migrations/tasks.js';
import { createTrailTables } from './migrations/trail.js';
import { createUserTables } from './migrations/users.js';
import { createVolumeTables } from './migrations/volume.js';

/** Every migration, in order; what has been released is never edited, only followed by another. */
function migrations(dialect: 'sqlite' | 'postgres'): Record<string, Migration> {
  return {
    '001-shared': { up: (db) => createSharedTables(db, dialect) },
    '002-host': { up: createHostTables },
    '003-identity': { up: (db) => createIdentityTables(db, dialect) },
    '004-network': { up: createNetworkTables },
    '005-image': { up: createImageTables },
    '006-compute': { up: (db) => createComputeTables(db, dialect) },
    '007-volume': { up: createVolumeTables },
    '008-tasks': { up: createTaskTables },
    '009-controllers': { up: createControllerTables },
    '010-authority': { up: createAuthorityTables },
    '011-drift': { up: createDriftTables },
    '012-trail': { up: (db) => createTrailTables(db, dialect) },
    '013-users': { up: createUserTables },
    '014-projects': { up: createLimitTables },
    '015-delegation': { up: createDelegationTables },
    '016-policy': { up: createPolicyTables },
    '017-audit': { up: createAuditTables },
    '018-audit-share': { up: indexAuditShares },
    '020-security': { up: addSecurityColumns },
  };
}

/** Names of all migrations of this release. */
export function knownMigrations(): string[] {
  return Object.keys(migrations('sqlite'));
}

/** Brings the schema up to this release's; a no-op when it is. Throws with the failing migration's name. */
export async function migrate<T>(db: Kysely<T>, dialect: 'sqlite' | 'postgres'): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations(dialect) } });
  const { error, results } = await migrator.migrateToLatest();
  if (error) {
    const failed = results?.find((r) => r.status === 'Error')?.migrationName ?? 'the migration table';
    throw new Error(
      `database migration failed at ${failed}: ${error instanceof Error ? error.message : error}`,
      {
        cause: error,
      },
    );
  }
}
