import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import type { DoctorMachine } from './machine.js';
import { MARU, UNDERLAY } from './machine.js';

/** Where the configuration of the bad host is. */
export const BAD_CONFIG = '/etc/maru/bad.yaml';

const CONFIG = `
agent:
  name: bad
  state_dir: /var/lib/bad
  controller: https://${UNDERLAY}:5450
  listen: 0.0.0.0:5999
  underlay_ip: 203.0.113.77
  physical_networks: { extnet: br-none }
  virt_type: kvm
`;

/** A controller by its Date header only, two minutes late. */
const LATE_SERVER = `
const { createServer } = require('node:https');
const { key, certificate: cert } = JSON.parse(require('node:fs').readFileSync('/run/late.json'));
createServer({ key, cert }, (_, reply) => {
  reply.sendDate = false;
  reply.setHeader('date', new Date(Date.now() - 120_000).toUTCString());
  reply.end();
}).listen(5450, '${UNDERLAY}');
`;

/**
 * Makes of the machine, by a second configuration, a host on which nearly everything else is wrong: programs that hang or are
 * missing, a late clock, an expired certificate, a taken port.
 */
export async function plantBadHost(on: DoctorMachine): Promise<void> {
  const { machine } = on;
  const expired = await selfSigned('bad', Date.now() - 40 * DAY_MS, Date.now() - 3 * DAY_MS);
  const late = await selfSigned('controller', Date.now() - DAY_MS, Date.now() + 30 * DAY_MS);
  const identity = {
    ...expired,
    ca: expired.certificate,
    controller: '',
    host_id: 'x',
    name: 'bad',
    token_sha256: '',
  };
  await machine.write(BAD_CONFIG, CONFIG, 0o600);
  await machine.write('/run/late.json', JSON.stringify(late), 0o600);
  await machine.write('/run/late.cjs', LATE_SERVER);
  await on.sh('mkdir -p -m 700 /var/lib/bad /var/lib/maru-bridge/pending');
  await machine.write('/var/lib/bad/identity.json', JSON.stringify(identity), 0o600);
  await machine.write(
    '/var/lib/maru-bridge/pending/change.json',
    JSON.stringify({
      kind: 'takeover',
      bridge: 'br-ex',
      uplink: 'eth0',
      startedTime: '2026-01-01T00:00:00Z',
    }),
  );
  await machine.write('/usr/local/sbin/qemu-system-x86_64', '#!/bin/sh\nexec sleep 600\n', 0o755);
  await machine.write('/usr/local/bin/maru', `#!/bin/sh\nexec ${MARU.join(' ')} "$@"\n`, 0o755);
  const denial =
    'audit: apparmor="DENIED" operation="open" profile="libvirt-1" name="/srv/x.qcow2" comm="qemu-system-x86"';
  await machine.write('/usr/local/bin/journalctl', `#!/bin/sh\necho '${denial}'\n`, 0o755);
  await on.sh(`
    systemctl stop time
    mv /usr/sbin/ipset /usr/sbin/ipset.away
    kill -STOP $(systemctl show --property=MainPID --value libvirtd)
    [ -e /dev/kvm ] || mknod /dev/kvm c 10 232
    chgrp root /dev/kvm; chmod 600 /dev/kvm
    setsid ${process.execPath} /run/late.cjs </dev/null >/dev/null 2>&1 &
    setsid socat TCP-LISTEN:5999,fork STDOUT </dev/null >/dev/null 2>&1 &
    for port in 5450 5999; do
      for i in $(seq 1000); do ss -Hltn | grep -q ":$port " && break; sleep 0.05; done
    done`);
}

const DAY_MS = 24 * 3600 * 1000;

async function selfSigned(
  name: string,
  from: number,
  to: number,
): Promise<{ key: string; certificate: string }> {
  const { X509CertificateGenerator } = await import('@peculiar/x509');
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: '01',
    name: `CN=${name}`,
    notBefore: new Date(from),
    notAfter: new Date(to),
    keys,
    signingAlgorithm: algorithm,
  });
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  const key = `-----BEGIN PRIVATE KEY-----\n${der.match(/.{1,64}/g)!.join('\n')}\n-----END PRIVATE KEY-----\n`;
  return { key, certificate: certificate.toString('pem') };
}
