// A proxy between a client and a server that spoils connections: it cuts, swallows, delays or refuses. Does not know
// what it carries.

import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'

export class Proxy {
  #server: Server
  #pairs = new Set<[Socket, Socket]>()
  /** Whether what the client, or the server, sends gets lost without a word. */
  swallowsRequests = false
  swallowsAnswers = false
  /** Whether new connections are closed at once. */
  refuses = false
  /** How long each piece is held back, on each way. */
  delay: () => number = () => 0
  accepted = 0

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(target: string): Promise<Proxy> {
    const { hostname, port } = new URL(target)
    const server = createServer({ noDelay: true })
    const proxy = new Proxy(server)
    server.on('connection', client => {
      proxy.accepted++
      if (proxy.refuses) return client.destroy()
      const upstream = connect({ host: hostname, port: Number(port), noDelay: true })
      const pair: [Socket, Socket] = [client, upstream]
      proxy.#pairs.add(pair)
      proxy.#pump(client, upstream, () => proxy.swallowsRequests)
      proxy.#pump(upstream, client, () => proxy.swallowsAnswers)
      for (const end of pair) {
        end.on('error', () => {})
        end.on('close', () => {
          proxy.#pairs.delete(pair)
          pair.forEach(one => one.destroy())
        })
      }
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  /** Pieces keep their order, however long each is held back. */
  #pump(from: Socket, to: Socket, isSwallowed: () => boolean): void {
    let free = 0
    from.on('data', data => {
      if (isSwallowed()) return
      const wait = this.delay()
      if (wait <= 0 && free <= performance.now()) return void to.write(data)
      free = Math.max(free, performance.now() + wait)
      setTimeout(() => { if (!to.destroyed) to.write(data) }, free - performance.now())
    })
  }

  get url(): string {
    return 'http://127.0.0.1:' + (this.#server.address() as AddressInfo).port
  }

  get open(): number {
    return this.#pairs.size
  }

  /** Ends every connection, rudely. */
  cut(): void {
    for (const [client, upstream] of this.#pairs) {
      client.resetAndDestroy()
      upstream.destroy()
    }
  }

  stop(): void {
    this.cut()
    this.#server.close()
  }
}
