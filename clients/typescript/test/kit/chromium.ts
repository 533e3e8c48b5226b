// Chromium, driven over its DevTools port: contexts that share nothing, pages in them, and what scripts there come to.

import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { createInterface } from 'node:readline'
import { WebSocket } from 'ws'

const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-dev-shm-usage', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync', '--remote-debugging-port=0',
]

interface Answer { id?: number; result?: any; error?: unknown; method?: string; params?: any; sessionId?: string }

export class Chromium {
  #process: ChildProcess
  #devtools: WebSocket
  #profile: string
  #last = 0
  #waiting = new Map<number, (answer: Answer) => void>()
  /** What pages threw or logged as an error. */
  readonly errors: string[] = []

  private constructor(process: ChildProcess, devtools: WebSocket, profile: string) {
    this.#process = process
    this.#devtools = devtools
    this.#profile = profile
    devtools.on('message', data => {
      const said: Answer = JSON.parse(String(data))
      if (said.id !== undefined) this.#waiting.get(said.id)?.(said)
      if (said.method === 'Runtime.exceptionThrown') this.errors.push(JSON.stringify(said.params.exceptionDetails))
      const isLogged = said.method === 'Runtime.consoleAPICalled' && said.params.type === 'error'
      if (isLogged) this.errors.push(JSON.stringify(said.params.args))
    })
  }

  static async start(): Promise<Chromium> {
    const profile = mkdtempSync(tmpdir() + '/synckairos-chromium-')
    const browser = spawn('chromium', [...FLAGS, '--user-data-dir=' + profile, 'about:blank'], {
      stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, HOME: profile }, detached: true,
    })
    const url = await new Promise<string>((resolve, reject) => {
      browser.on('error', reject)
      browser.on('exit', code => reject(new Error(`chromium ended with ${code}`)))
      createInterface(browser.stderr!).on('line', line => {
        const found = /DevTools listening on (ws:\S+)/.exec(line)
        if (found) resolve(found[1]!)
      })
    })
    const devtools = new WebSocket(url)
    await new Promise((resolve, reject) => devtools.on('open', resolve).on('error', reject))
    return new Chromium(browser, devtools, profile)
  }

  ask(method: string, params: object = {}, sessionId?: string): Promise<any> {
    const id = ++this.#last
    this.#devtools.send(JSON.stringify({ id, method, params, ...(sessionId && { sessionId }) }))
    return new Promise((resolve, reject) => this.#waiting.set(id, answer => {
      this.#waiting.delete(id)
      if (answer.error) reject(new Error(method + ': ' + JSON.stringify(answer.error)))
      else resolve(answer.result)
    }))
  }

  /** A page that shares nothing with any other. `before` runs in it before anything of its own. */
  async open(url: string, before = ''): Promise<Tab> {
    const { browserContextId } = await this.ask('Target.createBrowserContext')
    const { targetId } = await this.ask('Target.createTarget', { url: 'about:blank', browserContextId })
    const { sessionId } = await this.ask('Target.attachToTarget', { targetId, flatten: true })
    const tab = new Tab(this, sessionId)
    await this.ask('Runtime.enable', {}, sessionId)
    await this.ask('Page.enable', {}, sessionId)
    if (before) await this.ask('Page.addScriptToEvaluateOnNewDocument', { source: before }, sessionId)
    await this.ask('Page.navigate', { url }, sessionId)
    await tab.until(`location.href === ${JSON.stringify(url)} && document.readyState === 'complete'`)
    return tab
  }

  /** Ends it, with all processes that it has started. */
  async stop(): Promise<void> {
    const ended = new Promise(resolve => this.#process.once('exit', resolve))
    process.kill(-this.#process.pid!, 'SIGKILL')
    await ended
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 })
  }
}

export class Tab {
  #browser: Chromium
  #session: string

  constructor(browser: Chromium, session: string) {
    this.#browser = browser
    this.#session = session
  }

  /** What a script comes to; promises are waited for. */
  async run(script: string): Promise<any> {
    const evaluate = { expression: script, awaitPromise: true, returnByValue: true }
    const { result, exceptionDetails } = await this.#browser.ask('Runtime.evaluate', evaluate, this.#session)
    if (exceptionDetails) throw new Error(script + ': ' + JSON.stringify(exceptionDetails))
    return result.value
  }

  async until(script: string, ms = 20_000): Promise<any> {
    const deadline = performance.now() + ms
    for (;;) {
      const found = await this.run(script)
      if (found) return found
      if (performance.now() > deadline) throw new Error('never: ' + script)
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  }
}
