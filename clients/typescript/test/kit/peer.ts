// A server of a few lines that says what a test wants: a real one, on a real port. Does not know the rules of clocks.

import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { WebSocketServer } from 'ws'
import type { WebSocket } from 'ws'
import type { SessionState } from '../../dist/types.js'
import { until } from './env.js'

export const ID = '550e8400-e29b-41d4-a716-446655440000'
export const A = '11111111-1111-4111-8111-111111111111'
export const B = '22222222-2222-4222-8222-222222222222'

export interface Message { type: string; [member: string]: any }

/** One connection of a client, as the server has it. */
export class Guest {
  readonly socket: WebSocket
  readonly request: IncomingMessage
  readonly said: Message[] = []
  closed: number | undefined

  constructor(socket: WebSocket, request: IncomingMessage) {
    this.socket = socket
    this.request = request
    socket.on('message', data => this.said.push(JSON.parse(String(data))))
    socket.on('close', code => { this.closed = code })
  }

  send(message: object): void {
    this.socket.send(JSON.stringify(message))
  }

  /** Waits until the client has said something for the n-th time. */
  hears(type: string, count = 1): Promise<Message> {
    return until(`${type} ${count}`, () => this.said.filter(one => one.type === type)[count - 1])
  }

  count(type: string): number {
    return this.said.filter(one => one.type === type).length
  }

  welcome(state?: SessionState): void {
    const timestamp = Date.now()
    this.send({ type: 'CONNECTED', sessionId: ID, timestamp })
    if (state) this.send({ type: 'STATE_SYNC', sessionId: ID, timestamp, state })
  }

  update(state: SessionState): void {
    this.send({ type: 'STATE_UPDATE', sessionId: ID, timestamp: Date.now(), state })
  }
}

export class Peer {
  readonly guests: Guest[] = []
  readonly requests: { method: string; url: string; headers: IncomingMessage['headers']; body: string }[] = []
  /** Answers requests. */
  answer: (request: Peer['requests'][number], response: ServerResponse) => void = (_, response) => {
    reply(response, 404, { error: { code: 'SESSION_NOT_FOUND', message: 'not found' } })
  }
  /** What a handshake is refused with, instead of a connection. */
  refusal: { status: number; headers?: Record<string, string>; body?: object } | undefined
  #server: Server
  #sockets: WebSocketServer

  private constructor(server: Server, sockets: WebSocketServer) {
    this.#server = server
    this.#sockets = sockets
  }

  static async start(): Promise<Peer> {
    const server = createServer()
    const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'synckairos.v1' })
    const peer = new Peer(server, sockets)
    server.on('upgrade', (request, socket, head) => {
      if (peer.refusal) {
        socket.end(`HTTP/1.1 ${peer.refusal.status} No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
        return
      }
      sockets.handleUpgrade(request, socket, head, guest => peer.guests.push(new Guest(guest, request)))
    })
    server.on('request', async (request, response) => {
      let body = ''
      for await (const part of request) body += part
      const asked = { method: request.method!, url: request.url!, headers: request.headers, body }
      peer.requests.push(asked)
      peer.answer(asked, response)
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    return peer
  }

  get url(): string {
    return 'http://127.0.0.1:' + (this.#server.address() as AddressInfo).port
  }

  /** The n-th connection, when it has come. */
  guest(count = 1): Promise<Guest> {
    return until(`connection ${count}`, () => this.guests[count - 1])
  }

  stop(): void {
    for (const guest of this.guests) guest.socket.terminate()
    this.#sockets.close()
    this.#server.closeAllConnections()
    this.#server.close()
  }
}

export function reply(response: ServerResponse, status: number, body: object, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(body))
}

/** A game of two that runs. */
export function game(version: number, more: Partial<SessionState> = {}): SessionState {
  const since = new Date(Date.now() - 1_000).toISOString()
  const player = (participant_id: string, participant_index: number) => ({
    participant_id, participant_index, total_time_ms: 60_000, time_used_ms: 0, time_remaining_ms: 60_000,
    cycle_count: 0, is_active: participant_index === 0, has_expired: false, initial_time_ms: 60_000,
  })
  return {
    session_id: ID, sync_mode: 'per_participant', status: 'running', version, epoch: 1_000,
    participants: [player(A, 0), player(B, 1)], active_participant_id: A, total_time_ms: 120_000,
    time_per_cycle_ms: null, cycle_started_at: since, session_started_at: since, session_completed_at: null,
    increment_ms: 0, deadline_at: new Date(Date.parse(since) + 60_000).toISOString(), on_timeout: 'expire',
    created_at: since, updated_at: since, ...more,
  }
}
