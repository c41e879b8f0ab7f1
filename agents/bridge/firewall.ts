import type { Host } from '../host/host.js';

/** Firewall rules that name the uplink: after the takeover packets arrive on the bridge, and such rules match no longer. */
export async function firewallWarnings(host: Host, uplink: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const [tool, args] of LISTINGS) {
    const listing = await host.read(tool, args).then(
      ({ stdout }) => stdout,
      () => '',
    );
    found.push(...rulesNaming(listing, uplink).map((rule) => `${tool}: ${rule}`));
  }
  for (const path of ['/etc/ufw/user.rules', '/etc/ufw/user6.rules']) {
    const rules = (await host.readFileIfExists(path).catch(() => null)) ?? '';
    found.push(...rulesNaming(rules, uplink).map((rule) => `${path}: ${rule}`));
  }
  if (!found.length) return [];
  const shown = found.slice(0, 12);
  return [
    [
      `${found.length} firewall rule(s) name ${uplink}; packets will arrive on the bridge instead, so a rule that lets ssh in may not match any more. Add the same rules for the bridge first:`,
      ...shown.map((rule) => `    ${rule}`),
      ...(found.length > shown.length ? [`    … and ${found.length - shown.length} more`] : []),
    ].join('\n'),
  ];
}

/** The rules of a listing in which the device's name stands as a word of its own (also as a prefix with a wildcard). Pure. */
export function rulesNaming(listing: string, device: string): readonly string[] {
  return listing
    .split('\n')
    .map((line) => line.trim())
    .filter((line) =>
      line
        .split(/[\s,{}=]+/)
        .map((word) => word.replaceAll('"', '').replace(/^(in|out)_/, ''))
        .some(
          (word) =>
            word === device ||
            (/[+*]$/.test(word) && word.length > 1 && device.startsWith(word.slice(0, -1))),
        ),
    );
}

const LISTINGS: readonly (readonly [string, readonly string[]])[] = [
  ['iptables-save', []],
  ['ip6tables-save', []],
  ['nft', ['list', 'ruleset']],
];
