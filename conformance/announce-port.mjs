// Preloaded into a server that only says which port it was asked for: has it listen on this machine alone, and tells the parent where.
import { Server } from 'node:net';

const { listen } = Server.prototype;
Server.prototype.listen = function (port, ...rest) {
  this.once('listening', () => process.send?.({ port: this.address().port }));
  return Number(port) === 0 ? listen.call(this, 0, '127.0.0.1', ...rest) : listen.call(this, port, ...rest);
};
