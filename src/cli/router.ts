import type { Command } from 'commander';
import type { RouterPlace } from '../core/router/overview.js';
import { Client } from './client.js';
import { CliError } from './error.js';
import { printFields, printJson, printTable } from './output.js';

/** How long `move --wait` looks. */
const WAIT_MS = 120_000;
const LOOK_MS = 250;

/** `maru router …`: on which hosts routers are, and moving them. */
export function addRouterCommands(program: Command): void {
  const router = program.command('router').description('Show on which hosts routers are, and move them');
  router
    .command('list')
    .description('List routers with their hosts and what their moves wait for')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  maru router list')
    .action(async ({ json }: { json?: boolean }) => {
      const { routers } = await new Client().get<{ routers: RouterPlace[] }>('/maru/v1/routers');
      if (json) return printJson(routers);
      printTable(
        ['id', 'name', 'host', 'epoch', 'outside', 'state', 'note'],
        routers.map((r) => [r.id, r.name, r.host, r.epoch, r.physical_network, r.state, noteOf(r)]),
      );
    });
  router
    .command('show <id>')
    .description('Show where one router is')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  maru router show 3f0c2a51-…')
    .action(async (id: string, { json }: { json?: boolean }) => {
      const place = await find(id);
      if (json) return printJson(place);
      printPlace(place);
    });
  router
    .command('move <id> [host]')
    .description(
      'Move a router to a host, or to the least loaded one; its traffic stops until the next host has raised it',
    )
    .option('--wait', 'until it is up there')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  maru router move 3f0c2a51-… host2 --wait')
    .action(async (id: string, host: string | undefined, options: { wait?: boolean; json?: boolean }) => {
      const path = `/maru/v1/routers/${encodeURIComponent(id)}/move`;
      const client = new Client();
      const { router: begun } = await client.request<{ router: RouterPlace }>('POST', path, {
        host: host ?? null,
      });
      const place = options.wait ? await waitFor(client, begun) : begun;
      if (options.json) return printJson(place);
      printPlace(place);
    });
}

async function find(id: string, client = new Client()): Promise<RouterPlace> {
  return (await client.get<{ router: RouterPlace }>(`/maru/v1/routers/${encodeURIComponent(id)}`)).router;
}

async function waitFor(client: Client, begun: RouterPlace): Promise<RouterPlace> {
  let place = begun;
  for (const end = Date.now() + WAIT_MS; place.state === 'moving'; place = await find(begun.id, client)) {
    if (Date.now() > end) throw new CliError(`router ${begun.id} is still moving; it waits ${place.note}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return place;
}

function noteOf(place: RouterPlace): string {
  const behind = place.to_be_given_up_by.length
    ? `to be given up by ${place.to_be_given_up_by.join(', ')}`
    : '';
  return [place.note && `waits ${place.note}`, behind].filter(Boolean).join('; ');
}

function printPlace(place: RouterPlace): void {
  printFields([
    ['router', `${place.id} ${place.name}`],
    ['host', place.host],
    ['epoch', place.epoch],
    ['outside', place.physical_network],
    ['state', place.state],
    ['note', noteOf(place)],
  ]);
}
