import type { Command } from 'commander';
import type { HostDetail, HostSummary } from '../api/admin/views.js';
import type { HostRemoval } from '../core/host/remove.js';
import { Client } from './client.js';
import { ago, printFields, printJson, printTable } from './output.js';

/** `maru host …`: the machines of the cloud. */
export function addHostCommands(program: Command): void {
  const host = program.command('host').description('Show and manage the hosts of the cloud');
  host
    .command('list')
    .description('List the hosts with their state and load')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  maru host list')
    .action(async ({ json }: { json?: boolean }) => {
      const { hosts } = await new Client().get<{ hosts: HostSummary[] }>('/maru/v1/hosts');
      if (json) return printJson(hosts);
      printTable(
        ['name', 'state', 'virt', 'vcpus', 'memory', 'guests', 'faults', 'seen', 'note'],
        hosts.map((h) => [
          h.name,
          h.state + (h.enabled ? '' : ' (disabled)') + (h.observe_only ? ' (observes only)' : ''),
          h.virt_type,
          `${h.vcpus_used}/${h.vcpus}`,
          `${h.memory_mb_used}/${h.memory_mb} MB`,
          h.guests,
          h.faults,
          ago(h.last_seen_at),
          h.simulated
            ? 'SIMULATED'
            : h.warnings.length
              ? `${h.warnings.length} warning(s), see: maru host show ${h.name}`
              : '',
        ]),
      );
    });
  host
    .command('show <name>')
    .description('Show one host: hardware, virtualisation, warnings, faults')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  maru host show host1')
    .action(async (name: string, { json }: { json?: boolean }) => {
      const found = await new Client().get<{ host: HostDetail }>(
        `/maru/v1/hosts/${encodeURIComponent(name)}`,
      );
      if (json) return printJson(found.host);
      printHost(found.host);
    });
  host
    .command('token')
    .description('Make a one-time token with which a new host can join')
    .option('--name <host>', 'only a host of this name may use it')
    .option('--ttl <seconds>', 'how long it is good for', '3600')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  maru host token --name host2\n  (on host2)  maru agent --join TOKEN\n  maru host token --name host1     lets host1 join again, after its certificate has expired',
    )
    .action(async ({ name, ttl, json }: { name?: string; ttl: string; json?: boolean }) => {
      const made = await new Client().request<{ token: string; expires_at: string }>(
        'POST',
        '/maru/v1/hosts/tokens',
        {
          ...(name ? { host_name: name } : {}),
          ttl: Number(ttl),
        },
      );
      if (json) return printJson(made);
      process.stdout.write(`${made.token}\n`);
    });
  for (const action of ['enable', 'disable'] as const) {
    host
      .command(`${action} <name>`)
      .description(
        action === 'enable' ? 'Let the scheduler use the host again' : 'Give the host no new servers',
      )
      .option('--reason <text>', 'shown with the host')
      .addHelpText('after', `\nExamples:\n  maru host ${action} host2 --reason "new memory"`)
      .action(async (name: string, { reason }: { reason?: string }) => {
        await new Client().request('POST', `/maru/v1/hosts/${encodeURIComponent(name)}/${action}`, {
          reason: reason ?? null,
        });
        process.stdout.write(`host ${name} ${action}d\n`);
      });
  }
  host
    .command('remove <name>')
    .description('Take a host out of the cloud; refused while servers, volumes or routers are on it')
    .option('--force', 'the machine is lost for good: give up what is on it')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Examples:
  maru host remove host3
  maru host remove host3 --force     host3 burnt down: its servers go into ERROR, its routers move`,
    )
    .action(async (name: string, { force, json }: { force?: boolean; json?: boolean }) => {
      const { removal } = await new Client().request<{ removal: HostRemoval }>(
        'DELETE',
        `/maru/v1/hosts/${encodeURIComponent(name)}${force ? '?force=true' : ''}`,
      );
      if (json) return printJson(removal);
      printRemoval(removal);
    });
}

function printRemoval(removal: HostRemoval): void {
  process.stdout.write(`host ${removal.host.name} removed\n`);
  for (const one of removal.servers)
    process.stdout.write(`lost   server ${one.name} (${one.id}), now ERROR\n`);
  for (const one of removal.volumes)
    process.stdout.write(`lost   volume ${one.name} (${one.id}), now error\n`);
  for (const one of removal.routers) {
    const place = one.moved_to ? `now on ${one.moved_to}` : 'waits for a host that can take it';
    process.stdout.write(`moved  router ${one.name} (${one.id}), ${place}\n`);
  }
  if (removal.unconfirmed.length > 0) {
    process.stdout.write(`not confirmed as destroyed: ${removal.unconfirmed.join(', ')}\n`);
  }
  for (const warning of removal.warnings) process.stdout.write(`WARNING: ${warning}\n`);
}

function printHost(host: HostDetail): void {
  printFields([
    ['name', host.name],
    [
      'state',
      `${host.state}${host.enabled ? '' : ` (disabled: ${host.disabled_reason ?? 'no reason given'})`}`,
    ],
    [
      'acts',
      host.observe_only
        ? 'NO: it only observes until it is accepted (maru incarnation show)'
        : 'on its specification',
    ],
    ['simulated', host.simulated ? 'YES: nothing on this host is real' : 'no'],
    ['last seen', ago(host.last_seen_at)],
    ['virtualisation', `${host.virt_type} (${host.virt_type_reason})`],
    ['cpu', `${host.cpu_model}, ${host.vcpus} threads, ${host.vcpus_used} vCPUs given to guests`],
    ['memory', `${host.memory_mb} MB, ${host.memory_mb_used} MB given to guests`],
    ['disk', `${host.disk_gb} GB`],
    ['guests', host.guests],
    ['kernel', host.kernel],
    ['libvirt, QEMU', `${host.libvirt_version}, ${host.qemu_version}`],
    [
      'networks',
      `${host.physical_networks.join(', ') || 'no provider networks'}; tunnels from ${host.underlay_ip}`,
    ],
    ['agent', `${host.agent_version} at ${host.agent_url}`],
    ['certificate', certificateText(host)],
    ['not delivered', host.delivery_fault],
    ['warnings', host.warnings],
    ['faults', host.fault_list.map((f) => `${f.object}: ${f.message}${f.hint ? ` — ${f.hint}` : ''}`)],
    ['orphans', host.orphans.map((o) => `${o.kind}/${o.name} (${o.detail}), known ${ago(o.since)}`)],
  ]);
}

function certificateText({ name, certificate }: HostDetail): string {
  const { state, expires_at, authority } = certificate;
  const of = authority ? ` of authority ${authority.slice(0, 12)}` : '';
  const advice = state === 'expired' ? `; maru host token --name ${name} lets it join again` : '';
  return `${state}, until ${expires_at ?? '?'}${of}${advice}`;
}
