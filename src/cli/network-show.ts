import type { TracedHop } from '../core/trace/model.js';
import type { NetworkOnHost, NetworkView } from '../core/trace/show.js';
import { groupBy } from '../group-by.js';
import { ago, printFields, printTable } from './output.js';

/** With more hosts, or ports, what is alike is shown once. */
export const MOST_IN_FULL = 4;
const MOST_PORTS = 50;
/** Lines about what is not as it should be; the rest is counted. */
const MOST_WRONG = 20;

export const STATES = { ok: 'ok', fail: 'FAIL', unknown: 'unknown' } as const;

/** Prints what exists for a network; `inFull`: every port and host, else as much as can be read. */
export function printNetwork(view: NetworkView, inFull: boolean): void {
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
  if (inFull || view.ports.length <= MOST_PORTS) printPorts(view);
  else printPortCounts(view);
  if (inFull || view.hosts.length <= MOST_IN_FULL) for (const host of view.hosts) printHost(host);
  else printHosts(view);
  if (view.hosts.length === 0)
    process.stdout.write('\nNo host has anything of it: no guest and no router is on it.\n');
}

function printPorts({ ports }: NetworkView): void {
  printTable(
    ['port', 'owner', 'addresses', 'mac', 'host', 'status'],
    ports.map((p) => [p.id, p.owner || '-', p.addresses.join(', '), p.mac, p.host, p.status]),
  );
}

function printPortCounts({ ports }: NetworkView): void {
  const groups = groupBy(ports, ({ owner, status }) => `${owner || '-'} ${status}`);
  printTable(
    ['ports', 'owner', 'status', 'hosts'],
    [...groups.values()].map((some) => [
      some.length,
      some[0]!.owner || '-',
      some[0]!.status,
      named(some.flatMap(({ host }) => host ?? [])),
    ]),
  );
  process.stdout.write('(--all lists them, --host those of one host)\n');
}

function printHost({ host, state, objects, reports }: NetworkOnHost): void {
  process.stdout.write(`\nOn host ${host} (${state}):\n`);
  printTable(
    ['what', 'state', 'detail', `command on ${host}`],
    objects.map((one: TracedHop) => [one.what, STATES[one.state], one.detail, one.show]),
  );
  for (const line of reportLines(reports)) process.stdout.write(`  ${line}\n`);
}

/** What is alike on the hosts, once; then what is not as it should be, host by host. */
function printHosts({ hosts }: NetworkView): void {
  const down = hosts.filter(({ state }) => state === 'down').map(({ host }) => host);
  const said = down.length > 0 ? `, of which ${down.length} down: ${named(down)}` : '';
  process.stdout.write(`\nOn ${hosts.length} hosts${said}:\n`);
  const all = hosts.flatMap(({ host, objects }) => objects.map((object) => ({ on: host, object })));
  const groups = groupBy(all, ({ object }) => alike(object));
  printTable(
    ['what', 'there', 'ok', 'fail', 'unknown', 'hosts', 'command, on one of them'],
    [...groups].map(([what, some]) => {
      const count = (state: TracedHop['state']) => some.filter(({ object }) => object.state === state).length;
      const shown = `${some[0]!.on}: ${some[0]!.object.show}`;
      const on = named(some.map((one) => one.on));
      return [what, some.length, count('ok'), count('fail'), count('unknown'), on, shown];
    }),
  );
  printWrong(hosts);
  process.stdout.write('\n--host HOST shows all of one host, --all of all hosts.\n');
}

function printWrong(hosts: readonly NetworkOnHost[]): void {
  const wrong = hosts.flatMap(({ host, objects }) => {
    const away = objects[0]?.state !== 'ok' && objects.slice(1).every(({ state }) => state === 'unknown');
    // of a host that was not looked at the first line says all
    const bad = away ? objects.slice(0, 1) : objects.filter(({ state }) => state !== 'ok');
    return bad.map((one) => ({
      fail: one.state === 'fail',
      cells: [host, one.what, STATES[one.state], one.detail, one.show],
    }));
  });
  wrong.sort((a, b) => Number(b.fail) - Number(a.fail));
  if (wrong.length > 0) {
    process.stdout.write('\nNot as it should be:\n');
    printTable(
      ['host', 'what', 'state', 'detail', 'command'],
      wrong.slice(0, MOST_WRONG).map(({ cells }) => cells),
    );
    if (wrong.length > MOST_WRONG) process.stdout.write(`… and ${wrong.length - MOST_WRONG} more\n`);
  }
  const lines = hosts.flatMap(({ host, reports }) => reportLines(reports).map((line) => `${host}: ${line}`));
  for (const line of lines.slice(0, MOST_WRONG)) process.stdout.write(`  ${line}\n`);
  if (lines.length > MOST_WRONG)
    process.stdout.write(`  … and ${lines.length - MOST_WRONG} more such reports\n`);
}

function reportLines(reports: NetworkOnHost['reports']): string[] {
  return reports
    .filter((report) => report.error !== null || !report.current)
    .map(({ object, error, reported_at }) => {
      const what = error ?? 'what it last reported is of another state than the database has now';
      return `${object}: ${what} (reported ${ago(reported_at)})`;
    });
}

/** What an object is called on every host: without the address of the port, and without numbers. */
function alike({ what, object }: TracedHop): string {
  const name = object?.startsWith('port/') ? `ports: ${what.slice(what.indexOf(': ') + 2)}` : what;
  return name.replace(/^flooding to .*/, 'flooding and MACs of the other hosts');
}

/** Up to three by name, else how many. */
function named(hosts: readonly string[]): string {
  const all = [...new Set(hosts)];
  return all.length <= 3 ? all.join(', ') || '-' : String(all.length);
}
