import type { NetworkContext } from '../../config.js';
import { type IpFamily, type ObservedTables, type TableName, tableKey } from './model.js';

/** Reads all tables of a namespace: one iptables-save per family. */
export async function observeTables(
  { host }: NetworkContext,
  families: readonly IpFamily[],
  netns?: string,
): Promise<ObservedTables> {
  const texts = await Promise.all(
    families.map((family) =>
      host.read(family === 4 ? 'iptables-save' : 'ip6tables-save', [], netns ? { netns } : {}),
    ),
  );
  const tables: ObservedTables = new Map();
  families.forEach((family, index) => {
    for (const [key, chains] of parseSave(texts[index]!.stdout, family)) tables.set(key, chains);
  });
  return tables;
}

/** Output of iptables-save. */
export function parseSave(text: string, family: IpFamily): ObservedTables {
  const tables: ObservedTables = new Map();
  let chains = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) {
      chains = new Map();
      tables.set(tableKey(family, line.slice(1).trim() as TableName), chains);
    } else if (line.startsWith(':')) {
      chains.set(line.slice(1, line.indexOf(' ')), []);
    } else {
      const rule = /^(?:\[\d+:\d+\] )?-A (\S+) ?(.*)$/.exec(line);
      if (rule) chains.get(rule[1]!)?.push(rule[2]!);
    }
  }
  return tables;
}
