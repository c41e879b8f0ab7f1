/** Host and port of `host:port`, `[v6]:port` or `:port` (every address). */
export function splitAddress(address: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(address);
  const port = Number(match?.[3]);
  if (!match || port > 65_535)
    throw new Error(`'${address}' is not an address like 127.0.0.1:5000 or [::1]:5000`);
  return { host: match[1] ?? (match[2] || '::'), port };
}
