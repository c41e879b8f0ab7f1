/** What SQLite, PostgreSQL and the file system say when there is no room. */
const FULL = new Set(['SQLITE_FULL', '53100', 'ENOSPC', 'EDQUOT']);

/** True for an error that says that a disk is full; whatever the transaction did is rolled back then. */
export function isStorageFull(error: unknown): boolean {
  const { code, cause } = (error ?? {}) as { code?: unknown; cause?: unknown };
  return (typeof code === 'string' && FULL.has(code)) || (cause !== undefined && isStorageFull(cause));
}
