import type { AuditTables } from './tables/audit.js';
import type { AuthorityTables } from './tables/authority.js';
import type { ComputeTables } from './tables/compute.js';
import type { ControllerTables } from './tables/controller.js';
import type { DelegationTables } from './tables/delegation.js';
import type { DriftTables } from './tables/drift.js';
import type { HostTables } from './tables/host.js';
import type { IdentityTables } from './tables/identity.js';
import type { ImageTables } from './tables/image.js';
import type { LimitTables } from './tables/limits.js';
import type { NetworkTables } from './tables/network.js';
import type { PolicyTables } from './tables/policy.js';
import type { SharedTables } from './tables/shared.js';
import type { TaskTables } from './tables/tasks.js';
import type { TrailTables } from './tables/trail.js';
import type { UserTables } from './tables/users.js';
import type { VolumeTables } from './tables/volume.js';

/**
 * All tables. Conventions, the same on SQLite and PostgreSQL: ids are text; times are text in ISO 8601 with milliseconds
 * and `Z`, so they sort as text; booleans are integers 0 and 1; JSON is text; names follow the API's.
 */
export interface Database
  extends SharedTables,
    HostTables,
    DriftTables,
    AuthorityTables,
    IdentityTables,
    DelegationTables,
    LimitTables,
    UserTables,
    NetworkTables,
    ImageTables,
    ComputeTables,
    VolumeTables,
    PolicyTables,
    TaskTables,
    TrailTables,
    AuditTables,
    ControllerTables {}
