// A metadata service for check-tiny: metadata-server.mjs openstack|ec2 PUBLIC_KEY_FILE HOSTNAME UUID
// Answers on port 80 of every address of the network namespace that it runs in.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const [kind, keyFile, name, uuid] = process.argv.slice(2);
const key = readFileSync(keyFile, 'utf8');
const userData = `#!/bin/sh\necho user-data of $(hostname) from the ${kind} service\n`;

const replies = {
  openstack: {
    '/openstack/latest/meta_data.json': JSON.stringify({
      uuid,
      name,
      hostname: `${name}.novalocal`,
      launch_index: 0,
      public_keys: { 'my "key"': key },
      meta: { role: 'check' },
    }),
    '/openstack/latest/user_data': userData,
  },
  ec2: {
    '/latest/meta-data/instance-id': uuid,
    '/latest/meta-data/hostname': `${name}.novalocal`,
    '/latest/meta-data/public-keys/': '0=mykey',
    '/latest/meta-data/public-keys/0/openssh-key': key,
    '/latest/user-data': userData,
  },
}[kind];

createServer((request, response) => {
  const body = replies[request.url];
  response.writeHead(body === undefined ? 404 : 200, { 'content-type': 'text/plain' });
  response.end(body ?? '404 Not Found');
}).listen(80, '::');
