"""What openstacksdk and python-keystoneclient offer beyond the openstack command; prints one JSON object of what was seen."""

import json
import os

import openstack
from keystoneauth1 import exceptions
from keystoneclient.v3 import client

seen = {}
conn = openstack.connect(load_yaml_config=False, load_envvars=True)
keystone = client.Client(session=conn.session, interface='public')
identity = conn.identity


def sdk():
    domain = identity.create_domain(name='sdk', description='made by the SDK')
    project = identity.create_project(name='sdk-p', domain_id=domain.id, parent_id=domain.id)
    user = identity.create_user(name='sdk-u', domain_id=domain.id, password='secret-1', default_project_id=project.id)
    group = identity.create_group(name='sdk-g', domain_id=domain.id)
    role = identity.find_role('member')
    conn.add_user_to_group(user.id, group.id)
    identity.assign_project_role_to_user(project, user, role)
    identity.assign_domain_role_to_group(domain, group, role)
    seen['assignments'] = [a.group['id'] == group.id for a in identity.role_assignments(scope_domain_id=domain.id)]
    seen['role_of_user'] = [a.role['id'] == role.id for a in identity.role_assignments(user_id=user.id)]
    identity.update_user(user, email='sdk@example.org')
    seen['email'] = identity.get_user(user.id).email
    seen['found'] = identity.find_user('sdk-u', domain_id=domain.id).id == user.id
    seen['missing'] = identity.find_user('no such user', ignore_missing=True)
    service = identity.create_service(name='sdk-s', type='dns')
    # what it gives for a created one has no id: Keystone answers with a list
    identity.create_registered_limit(service_id=service.id, resource_name='zones', default_limit=3)
    registered = next(identity.registered_limits(resource_name='zones'))
    identity.create_limit(service_id=service.id, project_id=project.id, resource_name='zones', resource_limit=2)
    limit = next(identity.limits(resource_name='zones'))
    seen['limit'] = [identity.get_registered_limit(registered).default_limit, identity.get_limit(limit).resource_limit]
    keystone.limits.delete(limit.id)
    identity.delete_registered_limit(registered)
    identity.delete_service(service)
    seen['tags'] = tags(project.id)
    domain_config(domain.id)
    identity.update_domain(domain, is_enabled=False)
    identity.delete_domain(domain)
    seen['gone'] = [identity.find_project('sdk-p', domain_id=domain.id), identity.find_domain('sdk')]


def tags(project):
    keystone.projects.add_tag(project, 'one')
    keystone.projects.update_tags(project, ['two', 'three'])
    keystone.projects.delete_tag(project, 'two')
    return [keystone.projects.check_tag(project, 'three'), sorted(keystone.projects.list_tags(project))]


def domain_config(domain):
    configs = keystone.domain_configs
    configs.create(domain, {'identity': {'driver': 'ldap'}, 'ldap': {'url': 'ldap://127.0.0.1', 'password': 'hidden'}})
    first = configs.get(domain).to_dict()
    configs.update(domain, {'ldap': {'url': 'ldap://127.0.0.2'}})
    second = configs.get(domain).to_dict()
    configs.delete(domain)
    try:
        configs.get(domain)
    except exceptions.NotFound:
        seen['domain_config'] = [first, second]


def endpoint_policy():
    policy = keystone.policies.create(blob='{}', type='application/json')
    service = keystone.services.create('sdk-policy', type='dns')
    endpoint = keystone.endpoints.create(service, 'http://127.0.0.1:9', interface='public', region='RegionOne')
    manager = keystone.endpoint_policy
    manager.create_policy_association_for_service(policy, service)
    by_service = manager.get_policy_for_endpoint(endpoint).id == policy.id
    manager.create_policy_association_for_endpoint(policy, endpoint)
    manager.check_policy_association_for_endpoint(policy, endpoint)
    listed = [e.id == endpoint.id for e in manager.list_endpoints_for_policy(policy)]
    manager.delete_policy_association_for_endpoint(policy, endpoint)
    manager.delete_policy_association_for_service(policy, service)
    try:
        manager.get_policy_for_endpoint(endpoint)
    except exceptions.NotFound:
        seen['endpoint_policy'] = [by_service, listed]
    endpoint.delete()
    service.delete()
    policy.delete()


def tokens():
    token = conn.session.get_token()
    data = keystone.tokens.get_token_data(token)
    seen['token'] = [data['token']['user']['name'], 'catalog' in data['token']]
    seen['nocatalog'] = 'catalog' in keystone.tokens.get_token_data(token, include_catalog=False)['token']
    seen['auth_projects'] = [p.name for p in keystone.auth.projects()]
    seen['auth_domains'] = [d.name for d in keystone.auth.domains()]
    seen['auth_systems'] = [s.all for s in keystone.auth.systems()]
    seen['events'] = isinstance(conn.session.get(f'{URL}/OS-REVOKE/events').json()['events'], list)


def many():
    """More users than any page."""
    seen['users'] = [len(list(identity.users())), len(keystone.users.list())]
    seen['by_name'] = [u.name for u in identity.users(name='many-999')]


URL = os.environ['OS_AUTH_URL']
sdk()
endpoint_policy()
tokens()
many()
print(json.dumps(seen))
