// A site that serves the package's files as they are, pages that use them, and bundles with React. Does not know
// sessions.

import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { existsSync, readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

export const home: string = fileURLToPath(new URL('../..', import.meta.url))

const IMPORTS = { '@synckairos/client': '/dist/index.js', '@synckairos/client/element': '/dist/element.js' }

export class Site {
  #server: Server
  /** Pages and scripts of the test, by their path. */
  readonly files = new Map<string, string>()

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(): Promise<Site> {
    const server = createServer()
    const site = new Site(server)
    server.on('request', (request, response) => {
      const path = request.url!.split('?')[0]!
      const own = site.files.get(path)
      const file = /^\/dist\/[\w.]+\.js$/.test(path) ? home + path.slice(1) : ''
      if (own === undefined && !(file && existsSync(file))) return void response.writeHead(404).end()
      const type = path.endsWith('.js') ? 'text/javascript' : 'text/html; charset=utf-8'
      response.writeHead(200, { 'Content-Type': type }).end(own ?? readFileSync(file))
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    return site
  }

  get url(): string {
    return 'http://127.0.0.1:' + (this.#server.address() as AddressInfo).port
  }

  /** A page without a bundler: an import map, and a module. */
  page(path: string, module: string, body = ''): string {
    this.files.set(path, `<!doctype html><title>test</title><link rel="icon" href="data:,">
      <script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>
      ${body}<script type="module">${module}</script>`)
    return this.url + path
  }

  stop(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }
}

/** A script with the React of a version, of which there are two here. */
export async function bundle(code: string, version: 18 | 19, platform: 'browser' | 'node'): Promise<string> {
  const alias = version === 18 ? { react: 'react18', 'react-dom': 'react-dom18' } : {}
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: home + 'test', loader: 'tsx' }, bundle: true, write: false,
    format: platform === 'node' ? 'cjs' : 'iife', platform, alias, jsx: 'automatic', define: { 'process.env.NODE_ENV': '"development"' }, logLevel: 'silent',
  })
  return outputFiles[0]!.text
}
