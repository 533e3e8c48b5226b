// The server itself, as a process on a free port: the program that SYNCKAIROS_BIN names.

import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { WebSocket } from 'ws'
import { createClient } from '@synckairos/client'
import type { Client, ClientOptions, NewSession } from '@synckairos/client'
import { A, B } from './peer.js'

/** The repository's own, where nothing is said. */
const PROGRAM = process.env['SYNCKAIROS_BIN']
  || fileURLToPath(new URL('../../../../target/debug/synckairos', import.meta.url))

export class SyncKairos {
  #child: ChildProcess
  readonly url: string

  private constructor(child: ChildProcess, url: string) {
    this.#child = child
    this.url = url
  }

  /** Starts it and waits until it listens. */
  static async start(env: Record<string, string> = {}): Promise<SyncKairos> {
    const settings = { PORT: '0', MAX_CONNECTIONS: '2000', RATE_LIMIT_SWITCH: '0', ALLOWED_HOSTS: '*', ...env }
    const child = spawn(PROGRAM, { env: settings, stdio: ['ignore', 'ignore', 'pipe'] })
    const address = await new Promise<string>((resolve, reject) => {
      const said: string[] = []
      child.on('error', reject)
      child.on('exit', code => reject(new Error(`the server ended with ${code}: ${said.join('\n')}`)))
      createInterface(child.stderr!).on('line', line => {
        said.push(line)
        const { address } = JSON.parse(line)
        if (address) resolve(address)
      })
    })
    return new SyncKairos(child, 'http://' + address)
  }

  /** Ends it, and waits until it has ended. */
  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = new Promise(resolve => this.#child.once('exit', resolve))
    this.#child.kill(signal)
    await ended
  }
}

/** A client as Node needs it, whose errors a test must see. */
export function client(url: string, options: Partial<ClientOptions> = {}): Client {
  const onError = (error: unknown) => { throw error }
  return createClient({ url, WebSocket, lingerMs: 50, reconnect: { minMs: 20, maxMs: 200 }, onError, ...options })
}

/** A game of two, a minute each. */
export function players(more: Partial<NewSession> = {}): NewSession {
  const player = (participant_id: string, participant_index: number) => ({
    participant_id, participant_index, total_time_ms: 60_000,
  })
  return { sync_mode: 'per_participant', total_time_ms: 120_000, participants: [player(A, 0), player(B, 1)], ...more }
}
