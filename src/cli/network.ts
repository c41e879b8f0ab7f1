import type { Command } from 'commander';
import type { NetworkView } from '../core/trace/show.js';
import type { Trace } from '../core/trace/trace.js';
import { Client } from './client.js';
import { MOST_IN_FULL, printNetwork, STATES } from './network-show.js';
import { printJson, printTable } from './output.js';

interface ShowOptions {
  host?: string;
  all?: boolean;
  json?: boolean;
}

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
    .option('--host <host>', 'ask only this host, and show all of it')
    .option('--all', 'show every port and every host in full, however many there are')
    .option('--json', 'print JSON: everything, ungrouped')
    .addHelpText(
      'after',
      `
With more than ${MOST_IN_FULL} hosts, what is alike on them is one line, and what is not as it should be is named.

Examples:
  maru network show private
  maru network show private --host host17
  maru network show public --json`,
    )
    .action(async (name: string, { json, host, all }: ShowOptions) => {
      const query = host === undefined ? '' : `?${new URLSearchParams({ host })}`;
      const path = `/maru/v1/networks/${encodeURIComponent(name)}${query}`;
      const { network: view } = await new Client().get<{ network: NetworkView }>(path);
      if (view.hosts.some(({ objects }) => objects.some(({ state }) => state === 'fail')))
        process.exitCode = 1;
      if (json) return printJson(view);
      printNetwork(view, all === true || host !== undefined);
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

function printTrace({ target, traffic, hops, verdict }: Trace): void {
  process.stdout.write(`${target} (${traffic})\n\n`);
  printTable(
    ['host', 'what', 'state', 'detail'],
    hops.map(({ host, what, state, detail }) => [host, what, STATES[state], detail]),
  );
  process.stdout.write(`\n${verdict}\n`);
}
