// Preloaded into servers that know no setting for the address they bind: every port is on the loopback only.
const { Server } = require('node:net')

// eslint-disable-next-line typescript/unbound-method -- called with `this` below
const { listen } = Server.prototype
Server.prototype.listen = function (first, ...rest) {
  if (typeof first === 'object' && first !== null && first.port !== undefined) {
    return listen.call(this, { ...first, host: '127.0.0.1' }, ...rest)
  }
  if (typeof first === 'number' || /^\d+$/.test(first)) {
    const callbacks = rest.filter((value) => typeof value === 'function')
    return listen.call(this, { port: Number(first), host: '127.0.0.1' }, ...callbacks)
  }
  return listen.call(this, first, ...rest)
}
