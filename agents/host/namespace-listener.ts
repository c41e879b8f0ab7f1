import { createServer } from 'node:net';

/** Started by namespace-socket.ts inside a namespace: listens, hands the socket to the parent, ends. */
const [address, port] = process.argv.slice(2);
const server = createServer();
server.on('error', (error) => {
  process.stderr.write(error.message);
  process.exit(1);
});
server.listen({ host: address, port: Number(port), backlog: 511 }, () => {
  process.send?.('listening', server, {}, () => process.disconnect());
});
