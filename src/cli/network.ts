import type { Command } from 'commander';
import type { TracedHop } from '../core/trace/model.js';
import type { NetworkOnHost, NetworkView } from '../core/trace/show.js';
import type { Trace } from '../core/trace/trace.js';
import { Client } from './client.js';
import { ago, printFields, printJson, printTable } from './output.js';

interface TraceOptions {
  protocol?: string;
  port?: string;
  from?: string;
  probe?: boolean;
  json?: boolean;
}

/** `maru network show|trace`: what exists for a network on each host, and where a way is interrupted. */
export function addNetworkCommands(program: Command): void {
  const network = program
    .command('network')
    .description('See what hosts have of networks, and what is broken');
  network
    .command('show <network>')
    .description(
      'Show what exists for a network in the cloud and on each host, how it is, and the commands that show it there',
    )
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  maru network show private\n  maru network show public --json')
    .action(async (name: string, { json }: { json?: boolean }) => {
      const path = `/maru/v1/networks/${encodeURIComponent(name)}`;
      const { network: view } = await new Client().get<{ network: NetworkView }>(path);
      if (view.hosts.some(({ objects }) => objects.some(({ state }) => state === 'fail')))
        process.exitCode = 1;
      if (json) return printJson(view);
      printNetwork(view);
    });
  network
    .command('trace <target>')
    .description(
      'Follow the way from outside to a floating IP, a port or a server, hop by hop, and name the first that is broken. ' +
        'Exit code 1 when one is',
    )
    .option('--protocol <protocol>', 'which security group rule has to admit it: tcp, udp, icmp …')
    .option('--port <port>', 'destination port, or ICMP type')
    .option('--from <address>', 'address or block that it comes from')
    .option('--probe', 'send pings, too: from the namespaces and between the hosts')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Examples:
  maru network trace 203.0.113.50
  maru network trace 203.0.113.50 --protocol tcp --port 22 --from 198.51.100.7 --probe
  maru network trace web1 --json`,
    )
    .action(async (target: string, options: TraceOptions) => {
      const query = new URLSearchParams({ target });
      for (const name of ['protocol', 'port', 'from'] as const)
        if (options[name] !== undefined) query.set(name, options[name]);
      if (options.probe) query.set('probe', 'true');
      const { traces } = await new Client().get<{ traces: Trace[] }>(`/maru/v1/trace?${query}`);
      if (traces.some(({ broken }) => broken !== null)) process.exitCode = 1;
      if (options.json) return printJson(traces);
      traces.forEach((trace, index) => {
        if (index > 0) process.stdout.write('\n');
        printTrace(trace);
      });
    });
}

const STATES = { ok: 'ok', fail: 'FAIL', unknown: 'unknown' } as const;

function printTrace({ target, traffic, hops, verdict }: Trace): void {
  process.stdout.write(`${target} (${traffic})\n\n`);
  printTable(
    ['host', 'what', 'state', 'detail'],
    hops.map(({ host, what, state, detail }) => [host, what, STATES[state], detail]),
  );
  process.stdout.write(`\n${verdict}\n`);
}

function printNetwork(view: NetworkView): void {
  const segment = [view.type, view.segmentation_id, view.physical_network].filter((part) => part !== null);
  printFields([
    ['network', `${view.name} (${view.id})`],
    ['project', view.project_id],
    ['segment', `${segment.join(' ')}, MTU ${view.mtu}${view.external ? ', external' : ''}`],
    [
      'subnets',
      view.subnets.map(
        ({ cidr, gateway_ip, enable_dhcp, id }) =>
          `${cidr}, gateway ${gateway_ip ?? 'none'}, ${enable_dhcp ? 'DHCP' : 'no DHCP'} (${id})`,
      ),
    ],
  ]);
  process.stdout.write('\n');
  printTable(
    ['port', 'owner', 'addresses', 'mac', 'host', 'status'],
    view.ports.map((p) => [p.id, p.owner || '-', p.addresses.join(', '), p.mac, p.host, p.status]),
  );
  for (const host of view.hosts) printHost(host);
  if (view.hosts.length === 0)
    process.stdout.write('\nNo host has anything of it: no guest and no router is on it.\n');
}

function printHost({ host, state, objects, reports }: NetworkOnHost): void {
  process.stdout.write(`\nOn host ${host} (${state}):\n`);
  printTable(
    ['what', 'state', 'detail', `command on ${host}`],
    objects.map((one: TracedHop) => [one.what, STATES[one.state], one.detail, one.show]),
  );
  const wrong = reports.filter((report) => report.error !== null || !report.current);
  for (const { object, error, reported_at } of wrong) {
    const what = error ?? 'what it last reported is of another state than the database has now';
    process.stdout.write(`  ${object}: ${what} (reported ${ago(reported_at)})\n`);
  }
}
