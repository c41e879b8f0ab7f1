/** A host name made from a display name as Nova makes it: lower case, dashes for blanks, nothing that DNS forbids. */
export function hostnameFrom(name: string, serverId: string): string {
  const clean = name
    .normalize('NFKD')
    .replace(/[^\x20-\x7e]/g, '')
    .replace(/[ _]/g, '-')
    .replace(/[^\w.-]+/g, '')
    .toLowerCase()
    .replace(/^[.-]+|[.-]+$/g, '')
    .slice(0, 63)
    .replace(/[.-]+$/, '');
  return clean === '' ? `server-${serverId}` : clean;
}
