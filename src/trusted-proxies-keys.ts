import { tryParseCidr } from './net/cidr.js';
import { key } from './protocol/config/key.js';
import { type ConfigType, listOf, text } from './protocol/config/types.js';

/** The key of the configuration about proxies before the APIs. */
export const TRUSTED_PROXIES_KEYS = {
  trusted_proxies: key(listOf(addressOrCidr()), {
    default: [],
    description:
      'Addresses and CIDRs of the proxies before the APIs. Only what these say of where a request comes from (X-Forwarded-For or ' +
      'Forwarded) is believed: the nearest address that is none of theirs is the client’s in audit records and logs, and for limits ' +
      'of failed logins. They have to remove or extend both headers; where these differ, the address is the proxy’s.',
  }),
};

/** An IP address or a CIDR, which may not be everything. */
function addressOrCidr(): ConfigType<string> {
  return text('an IP address or a CIDR such as 192.0.2.0/24', (value) => {
    const cidr = tryParseCidr(value);
    if (!cidr) return 'it is neither';
    if (cidr.prefix === 0) return 'it is every address';
    if (cidr.version === 6 && cidr.first >> 32n === 0xffffn)
      return { why: 'it is IPv4 written as IPv6', hint: 'give it as IPv4' };
    return null;
  });
}
