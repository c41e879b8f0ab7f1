import { type CreateTableBuilder, type Kysely, sql } from 'kysely';

/** Creates the tables of the network service. Unique indexes have the last word on addresses, MACs and segments. */
export async function createNetworkTables(db: Kysely<unknown>): Promise<void> {
  await createNetworks(db);
  await createPorts(db);
  await createSecurityGroups(db);
  await createRouters(db);
  await db.schema
    .createTable('network_tag')
    .addColumn('resource_id', 'text', (c) => c.notNull())
    .addColumn('tag', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('network_tag_pk', ['resource_id', 'tag'])
    .execute();
}

async function createNetworks(db: Kysely<unknown>): Promise<void> {
  await named(db.schema.createTable('network'))
    .addColumn('admin_state_up', 'integer', (c) => c.notNull())
    .addColumn('shared', 'integer', (c) => c.notNull())
    .addColumn('external', 'integer', (c) => c.notNull())
    .addColumn('is_default', 'integer', (c) => c.notNull())
    .addColumn('mtu', 'integer', (c) => c.notNull())
    .addColumn('port_security_enabled', 'integer', (c) => c.notNull())
    .addColumn('dns_domain', 'text', (c) => c.notNull())
    .addColumn('network_type', 'text', (c) => c.notNull())
    .addColumn('physical_network', 'text')
    .addColumn('segmentation_id', 'integer')
    .execute();
  await db.schema.createIndex('network_project').on('network').column('project_id').execute();
  await sql`create unique index network_vni on network (segmentation_id) where network_type = 'vxlan'`.execute(
    db,
  );
  await sql`create unique index network_flat on network (physical_network) where network_type = 'flat'`.execute(
    db,
  );
  await sql`create unique index network_vlan on network (physical_network, segmentation_id)
    where network_type = 'vlan'`.execute(db);
  await named(db.schema.createTable('subnet'))
    .addColumn('network_id', 'text', (c) => c.notNull().references('network.id'))
    .addColumn('ip_version', 'integer', (c) => c.notNull())
    .addColumn('cidr', 'text', (c) => c.notNull())
    .addColumn('gateway_ip', 'text')
    .addColumn('enable_dhcp', 'integer', (c) => c.notNull())
    .addColumn('ipv6_ra_mode', 'text')
    .addColumn('ipv6_address_mode', 'text')
    .addColumn('allocation_pools', 'text', (c) => c.notNull())
    .addColumn('dns_nameservers', 'text', (c) => c.notNull())
    .addColumn('host_routes', 'text', (c) => c.notNull())
    .addColumn('service_types', 'text', (c) => c.notNull())
    .execute();
  await db.schema.createIndex('subnet_network').on('subnet').column('network_id').execute();
  await db.schema.createIndex('subnet_project').on('subnet').column('project_id').execute();
}

async function createPorts(db: Kysely<unknown>): Promise<void> {
  await named(db.schema.createTable('port'))
    .addColumn('network_id', 'text', (c) => c.notNull().references('network.id'))
    .addColumn('admin_state_up', 'integer', (c) => c.notNull())
    .addColumn('mac_address', 'text', (c) => c.notNull())
    .addColumn('device_id', 'text', (c) => c.notNull())
    .addColumn('device_owner', 'text', (c) => c.notNull())
    .addColumn('status', 'text', (c) => c.notNull())
    .addColumn('port_security_enabled', 'integer', (c) => c.notNull())
    .addColumn('allowed_address_pairs', 'text', (c) => c.notNull())
    .addColumn('extra_dhcp_opts', 'text', (c) => c.notNull())
    .addColumn('dns_name', 'text', (c) => c.notNull())
    .addColumn('binding_host', 'text', (c) => c.notNull())
    .addColumn('vnic_type', 'text', (c) => c.notNull())
    .addColumn('binding_profile', 'text', (c) => c.notNull())
    .addColumn('server_id', 'text')
    .addColumn('device_index', 'integer')
    .addColumn('delete_with_server', 'integer', (c) => c.notNull())
    .addUniqueConstraint('port_mac', ['network_id', 'mac_address'])
    .execute();
  await db.schema.createIndex('port_device').on('port').column('device_id').execute();
  await db.schema.createIndex('port_server').on('port').column('server_id').execute();
  await db.schema.createIndex('port_project').on('port').column('project_id').execute();
  // a network has at most one DHCP port, however many requests find that it needs one
  await sql`create unique index port_dhcp on port (network_id) where device_owner = 'network:dhcp'`.execute(
    db,
  );
  await db.schema
    .createTable('port_binding')
    .addColumn('port_id', 'text', (c) => c.notNull().references('port.id').onDelete('cascade'))
    .addColumn('host_id', 'text', (c) => c.notNull())
    .addColumn('status', 'text', (c) => c.notNull())
    .addColumn('created_at', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('port_binding_pk', ['port_id', 'host_id'])
    .execute();
  await db.schema.createIndex('port_binding_host').on('port_binding').column('host_id').execute();
  await db.schema
    .createTable('ip_allocation')
    .addColumn('network_id', 'text', (c) => c.notNull())
    .addColumn('ip_address', 'text', (c) => c.notNull())
    .addColumn('subnet_id', 'text', (c) => c.notNull())
    .addColumn('port_id', 'text', (c) => c.references('port.id'))
    .addColumn('position', 'integer', (c) => c.notNull())
    .addPrimaryKeyConstraint('ip_allocation_pk', ['network_id', 'ip_address'])
    .execute();
  await db.schema.createIndex('ip_allocation_port').on('ip_allocation').column('port_id').execute();
  await db.schema.createIndex('ip_allocation_subnet').on('ip_allocation').column('subnet_id').execute();
  await db.schema
    .createTable('address_hold')
    .addColumn('network_id', 'text', (c) => c.notNull())
    .addColumn('host_id', 'text', (c) => c.notNull())
    .addColumn('object_key', 'text', (c) => c.notNull())
    .addColumn('ip_address', 'text', (c) => c.notNull())
    .addColumn('mac_address', 'text', (c) => c.notNull())
    .addColumn('created_at', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('address_hold_pk', [
      'host_id',
      'object_key',
      'network_id',
      'ip_address',
      'mac_address',
    ])
    .execute();
  await db.schema
    .createTable('vni_hold')
    .addColumn('vni', 'integer', (c) => c.notNull())
    .addColumn('host_id', 'text', (c) => c.notNull())
    .addColumn('network_id', 'text', (c) => c.notNull())
    .addColumn('created_at', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('vni_hold_pk', ['host_id', 'network_id'])
    .execute();
  await db.schema
    .createIndex('address_hold_network')
    .on('address_hold')
    .columns(['network_id', 'ip_address'])
    .execute();
}

async function createSecurityGroups(db: Kysely<unknown>): Promise<void> {
  await named(db.schema.createTable('security_group'))
    .addColumn('stateful', 'integer', (c) => c.notNull())
    .execute();
  await db.schema.createIndex('security_group_project').on('security_group').column('project_id').execute();
  await sql`create unique index security_group_default on security_group (project_id)
    where name = 'default'`.execute(db);
  await db.schema
    .createTable('security_group_rule')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('security_group_id', 'text', (c) =>
      c.notNull().references('security_group.id').onDelete('cascade'),
    )
    .addColumn('project_id', 'text', (c) => c.notNull())
    .addColumn('description', 'text', (c) => c.notNull())
    .addColumn('direction', 'text', (c) => c.notNull())
    .addColumn('ethertype', 'text', (c) => c.notNull())
    .addColumn('protocol', 'text')
    .addColumn('port_range_min', 'integer')
    .addColumn('port_range_max', 'integer')
    .addColumn('remote_ip_prefix', 'text')
    .addColumn('remote_group_id', 'text', (c) => c.references('security_group.id').onDelete('cascade'))
    .addColumn('revision_number', 'integer', (c) => c.notNull())
    .addColumn('created_at', 'text', (c) => c.notNull())
    .addColumn('updated_at', 'text', (c) => c.notNull())
    .execute();
  await sql`create unique index security_group_rule_same on security_group_rule (security_group_id, direction,
    ethertype, coalesce(protocol, ''), coalesce(port_range_min, -1), coalesce(port_range_max, -1),
    coalesce(remote_ip_prefix, ''), coalesce(remote_group_id, ''))`.execute(db);
  await db.schema
    .createIndex('security_group_rule_remote')
    .on('security_group_rule')
    .column('remote_group_id')
    .execute();
  await db.schema
    .createIndex('security_group_rule_project')
    .on('security_group_rule')
    .column('project_id')
    .execute();
  await db.schema
    .createTable('port_security_group')
    .addColumn('port_id', 'text', (c) => c.notNull().references('port.id').onDelete('cascade'))
    .addColumn('security_group_id', 'text', (c) => c.notNull().references('security_group.id'))
    .addPrimaryKeyConstraint('port_security_group_pk', ['port_id', 'security_group_id'])
    .execute();
  await db.schema
    .createIndex('port_security_group_group')
    .on('port_security_group')
    .column('security_group_id')
    .execute();
}

async function createRouters(db: Kysely<unknown>): Promise<void> {
  await named(db.schema.createTable('router'))
    .addColumn('admin_state_up', 'integer', (c) => c.notNull())
    .addColumn('host_id', 'text')
    .addColumn('host_epoch', 'integer', (c) => c.notNull())
    .addColumn('next_host_id', 'text')
    .addColumn('gateway_port_id', 'text', (c) => c.references('port.id'))
    .addColumn('gateway_network_id', 'text')
    .addColumn('enable_snat', 'integer', (c) => c.notNull())
    .addColumn('routes', 'text', (c) => c.notNull())
    .execute();
  await db.schema.createIndex('router_project').on('router').column('project_id').execute();
  await db.schema.createIndex('router_host').on('router').column('host_id').execute();
  await db.schema
    .createTable('router_withdrawal')
    .addColumn('router_id', 'text', (c) => c.notNull().references('router.id').onDelete('cascade'))
    .addColumn('host_id', 'text', (c) => c.notNull())
    .addColumn('epoch', 'integer', (c) => c.notNull())
    .addColumn('revision', 'text', (c) => c.notNull())
    .addColumn('created_at', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('router_withdrawal_pk', ['router_id', 'host_id'])
    .execute();
  await db.schema.createIndex('router_withdrawal_host').on('router_withdrawal').column('host_id').execute();
  await db.schema
    .createTable('floating_ip')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('project_id', 'text', (c) => c.notNull())
    .addColumn('description', 'text', (c) => c.notNull())
    .addColumn('floating_network_id', 'text', (c) => c.notNull())
    .addColumn('floating_ip_address', 'text', (c) => c.notNull())
    .addColumn('floating_port_id', 'text', (c) => c.notNull().references('port.id'))
    .addColumn('fixed_port_id', 'text', (c) => c.references('port.id'))
    .addColumn('fixed_ip_address', 'text')
    .addColumn('router_id', 'text', (c) => c.references('router.id'))
    .addColumn('status', 'text', (c) => c.notNull())
    .addColumn('dns_domain', 'text', (c) => c.notNull())
    .addColumn('dns_name', 'text', (c) => c.notNull())
    .addColumn('revision_number', 'integer', (c) => c.notNull())
    .addColumn('created_at', 'text', (c) => c.notNull())
    .addColumn('updated_at', 'text', (c) => c.notNull())
    .addUniqueConstraint('floating_ip_address', ['floating_network_id', 'floating_ip_address'])
    .execute();
  await db.schema.createIndex('floating_ip_project').on('floating_ip').column('project_id').execute();
  await db.schema.createIndex('floating_ip_router').on('floating_ip').column('router_id').execute();
  await sql`create unique index floating_ip_fixed on floating_ip (fixed_port_id, fixed_ip_address)
    where fixed_port_id is not null`.execute(db);
}

function named(table: CreateTableBuilder<string, never>) {
  return table
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('project_id', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('description', 'text', (c) => c.notNull())
    .addColumn('revision_number', 'integer', (c) => c.notNull())
    .addColumn('created_at', 'text', (c) => c.notNull())
    .addColumn('updated_at', 'text', (c) => c.notNull());
}
