import type { FaultCloud } from './fault-cloud.js';
import type { FaultScene } from './fault-scene.js';
import { expectSound } from './invariants.js';

/** Something that is done and undone, so that it can be repeated with a fault at another moment each time. */
export interface Workflow {
  readonly name: string;
  /** Brings about what both halves need. */
  readonly prepare?: () => Promise<void>;
  readonly halves: readonly (() => Promise<void>)[];
  /** How often a guest is started by each half. */
  readonly starts: readonly number[];
}

/** Every workflow of the API that reaches hosts. They are to be run in this order: what one prepares, those after it use. */
export function workflowsOf(scene: () => FaultScene, cloud: () => FaultCloud): readonly Workflow[] {
  let server = '';
  let port = '';
  let floatingIp = '';
  let rule = '';
  let volume = '';
  let subnet = '';
  const tenant = () => scene().tenant;
  const action = (body: object) => async () => await tenant().act(server, body);
  const updatePort = (changes: object) => async () => {
    await tenant().insist('PUT', `/network/v2.0/ports/${port}`, { port: changes });
  };
  return [
    {
      name: 'create and delete a server',
      halves: [
        async () => {
          server = await scene().server({ config_drive: true });
        },
        () => tenant().delete('server', server),
      ],
      starts: [1, 0],
    },
    {
      name: 'stop and start',
      prepare: async () => {
        server = await scene().server();
        await expectSound(cloud(), 'a server before the faults');
        port = await tenant().portOf(server);
      },
      halves: [action({ 'os-stop': null }), action({ 'os-start': null })],
      starts: [0, 1],
    },
    {
      name: 'reboot',
      halves: [action({ reboot: { type: 'SOFT' } }), action({ reboot: { type: 'HARD' } })],
      starts: [1, 1],
    },
    {
      name: 'security group rules',
      halves: [
        async () => {
          rule = await tenant().create('security_group_rule', {
            security_group_id: scene().groupId,
            direction: 'ingress',
            protocol: 'tcp',
            port_range_min: 22,
            port_range_max: 22,
            remote_group_id: scene().groupId,
          });
        },
        () => tenant().delete('security_group_rule', rule),
      ],
      starts: [0, 0],
    },
    {
      name: 'ports',
      halves: [
        updatePort({ allowed_address_pairs: [{ ip_address: '10.0.0.50' }], security_groups: [] }),
        async () => {
          await updatePort({ allowed_address_pairs: [], security_groups: [scene().groupId] })();
        },
      ],
      starts: [0, 0],
    },
    {
      name: 'floating IPs',
      prepare: async () => {
        floatingIp = await tenant().create('floatingip', { floating_network_id: scene().externalId });
      },
      halves: [() => tenant().attach(floatingIp, port), () => tenant().attach(floatingIp, null)],
      starts: [0, 0],
    },
    {
      name: 'router interfaces',
      prepare: async () => {
        const network = await tenant().create('network', {});
        subnet = await tenant().create('subnet', { network_id: network, ip_version: 4, cidr: '10.1.0.0/24' });
      },
      halves: [() => scene().interface('add', subnet), () => scene().interface('remove', subnet)],
      starts: [0, 0],
    },
    {
      name: 'volumes',
      prepare: async () => {
        await tenant().delete('server', server);
        await expectSound(cloud(), 'no server after the faults');
      },
      halves: [
        async () => {
          volume = await tenant().create('volume', { size: 1 });
        },
        () => tenant().delete('volume', volume),
      ],
      starts: [0, 0],
    },
  ];
}
