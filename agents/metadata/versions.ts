/** Versions of the OpenStack metadata format, oldest first; each adds files or fields to the one before. */
export const OPENSTACK_VERSIONS = [
  '2012-08-10',
  '2013-04-04',
  '2013-10-17',
  '2015-10-15',
  '2016-06-30',
  '2016-10-06',
  '2017-02-22',
  '2018-08-27',
  '2020-10-14',
] as const;

export type OpenStackVersion = (typeof OPENSTACK_VERSIONS)[number];

/** What `latest` means. */
export const LATEST: OpenStackVersion = '2020-10-14';

/** True when `version` has what `since` brought. */
export function hasSince(version: OpenStackVersion, since: OpenStackVersion): boolean {
  return version >= since;
}

/** The version that a path names, `latest` included; null when there is no such version. */
export function parseVersion(text: string): OpenStackVersion | null {
  if (text === 'latest') return LATEST;
  return (OPENSTACK_VERSIONS as readonly string[]).includes(text) ? (text as OpenStackVersion) : null;
}

/** Versions of the EC2 format; they are the same apart from their names. */
export const EC2_VERSIONS = [
  '1.0',
  '2007-01-19',
  '2007-03-01',
  '2007-08-29',
  '2007-10-10',
  '2007-12-15',
  '2008-02-01',
  '2008-09-01',
  '2009-04-04',
] as const;
