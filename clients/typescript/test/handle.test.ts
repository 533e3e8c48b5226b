// The handle of a session: what holds its connection, what listeners are told, and that nothing runs while nothing
// must.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { afterEach, beforeEach, test } from 'node:test'
import { WebSocket } from 'ws'
import { createClient } from '@synckairos/client'
import type { Client, Session, Snapshot, Threshold } from '@synckairos/client'
import { TestEnv, TestPage, until } from './kit/env.js'
import { A, B, ID, Peer, game } from './kit/peer.js'
import type { Guest } from './kit/peer.js'
import { client } from './kit/server.js'

let peer: Peer
let env: TestEnv
let page: TestPage
let own: Client
let session: Session

beforeEach(async () => {
  peer = await Peer.start()
  page = new TestPage()
  env = new TestEnv({ page })
  own = client(peer.url, { env, lingerMs: 5_000 })
  session = own.session(ID)
})
afterEach(() => {
  own.close()
  peer.stop()
})

/** A game whose running clock has so much left, by the client's clock; the server's is the same. */
async function running(guest: Guest, leftMs: number, warn_at_ms: number[] = []): Promise<void> {
  const now = env.wall()
  const since = new Date(now - 60_000 + leftMs).toISOString()
  guest.send({ type: 'CONNECTED', sessionId: ID, timestamp: now })
  const ping = await guest.hears('PING')
  guest.send({ type: 'PONG', timestamp: now, received_at: now, client_timestamp: ping['timestamp'] })
  const deadline_at = new Date(now + leftMs).toISOString()
  const state = game(1, { cycle_started_at: since, deadline_at, warn_at_ms })
  guest.send({ type: 'STATE_SYNC', sessionId: ID, timestamp: now, state })
  await until('a state', () => session.state)
}

/** What the server says when A's clock has ten seconds. */
function warns(time_remaining_ms: number): object {
  const sent = { sessionId: ID, timestamp: env.wall() }
  return { type: 'TIME_WARNING', ...sent, participant_id: A, time_remaining_ms, threshold_ms: 10_000 }
}

test('rule 11: the connection stands while somebody listens, and a little longer', async () => {
  const end = session.subscribe(() => {})
  const other = session.on('change', () => {})
  const guest = await peer.guest()
  guest.welcome(game(1))
  await until('connected', () => session.snapshot.phase === 'connected')
  // Without pongs a page that is seen would give the connection up.
  page.tell('hidden')
  end()
  end()
  env.pass(5_000)
  assert.equal(session.snapshot.phase, 'connected', 'another one listens')
  other()
  env.pass(3_000)
  // A component that is mounted twice, and another route.
  const again = session.subscribe(() => {})
  env.pass(5_000)
  assert.deepEqual([session.snapshot.phase, peer.guests.length], ['connected', 1])
  again()
  env.pass(5_000)
  assert.equal(session.snapshot.phase, 'idle')
  await until('closed', () => guest.closed === 1000)
  assert.deepEqual([page.listeners, env.waits], [0, []])
})

test('rule 11: a handle works again after it was idle, with what it knew', async () => {
  session.subscribe(() => {})()
  env.pass(5_000)
  const told: number[] = []
  session.on('change', state => told.push(state.version))
  const guest = await until('a connection', () => peer.guests.at(-1))
  guest.welcome(game(1))
  await until('told', () => told.length === 1)
  guest.socket.terminate()
  await until('away', () => session.snapshot.phase === 'reconnecting')
  env.pass(200)
  const next = await until('back', () => peer.guests.at(-1) === guest ? undefined : peer.guests.at(-1))
  next.welcome(game(2))
  await until('told', () => told.length === 2)
  assert.equal(own.session(ID.toUpperCase()), session)
})

test('rule 12: a snapshot is one frozen object until something changes, and set before it is told', async () => {
  const seen: Snapshot[] = []
  session.subscribe(() => seen.push(session.snapshot))
  const guest = await peer.guest()
  guest.welcome(game(1))
  await until('a state', () => session.state)
  const snapshot = session.snapshot
  assert.equal(session.snapshot, snapshot)
  assert.ok(Object.isFrozen(snapshot))
  guest.update(game(1))
  guest.send({ type: 'CHAT' })
  guest.update(game(2))
  await until('version 2', () => session.state?.version === 2)
  assert.equal(new Set(seen).size, seen.length, 'each was told once')
  assert.equal(seen.at(-1), session.snapshot)
})

test('rule 12: a listener that throws hurts nobody else', async () => {
  const errors: unknown[] = []
  const own = createClient({ url: peer.url, WebSocket, onError: error => errors.push(String(error)) })
  const session = own.session(ID)
  const told: string[] = []
  session.on('change', () => { throw new Error('mine') })
  session.on('change', () => void told.push('change'))
  session.subscribe(() => { if (session.state) told.push('snapshot') })
  ;(await peer.guest()).welcome(game(1))
  await until('told', () => told.length === 2)
  assert.deepEqual([errors, told.sort()], [['Error: mine'], ['change', 'snapshot']])
  own.close()
})

test('rule 14: nothing runs at import or construction', async () => {
  const script = `
    const before = Object.getOwnPropertyNames(globalThis).length
    for (const name of ['setTimeout', 'setInterval', 'fetch', 'queueMicrotask']) {
      globalThis[name] = () => { throw new Error(name + ' was called') }
    }
    const { createClient } = await import('@synckairos/client')
    await import('@synckairos/client/clock')
    await import('@synckairos/client/element')
    const session = createClient('').session('${ID}')
    const isBlank = session.remaining() === undefined && !session.state && session.snapshot.phase === 'idle'
    if (!isBlank) throw new Error('it knows something')
    if (Object.getOwnPropertyNames(globalThis).length !== before) throw new Error('something is new')
  `
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
  assert.deepEqual([run.status, run.stderr], [0, ''])
})

test('rule 15: the server\'s warning is preferred, and one threshold is told once', async () => {
  const told: Threshold[] = []
  session.on('warning', event => told.push(event))
  const guest = await peer.guest()
  await running(guest, 12_000, [10_000])
  env.pass(2_100)
  assert.equal(told.length, 0, 'it waits for the server')
  const warning = warns(9_950)
  guest.send(warning)
  guest.send(warning)
  await until('told', () => told.length)
  env.pass(5_000)
  const seen = told.map(one => [one.participantId, one.thresholdMs, one.remainingMs, one.source])
  assert.deepEqual(seen, [[A, 10_000, 9_950, 'server']])
})

test('rule 15: where the server says nothing a timer does, and its word comes too late', async () => {
  const told: Threshold[] = []
  session.on('warning', event => told.push(event))
  const guest = await peer.guest()
  await running(guest, 12_000, [10_000])
  env.pass(2_260)
  assert.deepEqual(told.map(one => [one.thresholdMs, one.source, one.participantId]), [[10_000, 'local', A]])
  guest.send(warns(9_700))
  const { cycle_started_at, deadline_at } = session.state!
  guest.update(game(2, { cycle_started_at, deadline_at, warn_at_ms: [10_000] }))
  await until('version 2', () => session.state?.version === 2)
  assert.equal(told.length, 1)
})

test('rule 15: under a time control the server alone warns, of each period anew', async () => {
  const told: Threshold[] = []
  session.on('warning', event => told.push(event))
  const guest = await peer.guest()
  await running(guest, 12_000, [10_000])
  const { cycle_started_at, deadline_at } = session.state!
  const time_controls = [{ system: 'byoyomi' as const, base_ms: 0, period_ms: 11_000, periods: 5 }]
  guest.update(game(2, { cycle_started_at, deadline_at, warn_at_ms: [10_000], time_controls }))
  await until('version 2', () => session.state?.version === 2)
  env.pass(4_000)
  assert.equal(told.length, 0)
  guest.send(warns(9_999))
  guest.send(warns(9_999))
  await until('told twice', () => told.length === 2)
})

test('rule 15: thresholds of one\'s own are told at their instant, those that passed are not', async () => {
  const told: unknown[] = []
  session.at(11_000, ({ thresholdMs, lateMs }) => told.push([thresholdMs, lateMs < 2]))
  session.at(30_000, () => told.push('passed'))
  session.at(11_000, () => told.push('not mine'), { participantId: B })
  const guest = await peer.guest()
  await running(guest, 12_000)
  const off = session.at(5_000, () => told.push('called off'))
  env.pass(900)
  assert.equal(told.length, 0)
  env.pass(110)
  assert.deepEqual(told, [[11_000, true]])
  off()
  env.pass(11_000)
  assert.equal(told.length, 1)
})

test('rule 16: no timer runs for a clock that stands, nor for one that nobody asked about', async () => {
  session.subscribe(() => {})
  const guest = await peer.guest()
  await running(guest, 12_000)
  guest.update(game(2, { status: 'paused', cycle_started_at: null, deadline_at: null, warn_at_ms: [10_000] }))
  await until('version 2', () => session.state?.version === 2)
  // The five seconds after which the connection is stable, and the next ping, are all.
  assert.ok(env.waits.length <= 2, `${env.waits}`)
})

test('a state is waited for, until it is there, or never will be', async () => {
  const ready = session.ready()
  const guest = await peer.guest()
  guest.welcome()
  guest.update(game(1))
  assert.equal((await ready).version, 1)
  const other = own.session(A)
  const refused = assert.rejects(other.ready(), /Not authenticated/)
  ;(await peer.guest(2)).socket.close(4501, 'Not authenticated')
  await refused
  await assert.rejects(own.session(B).ready({ signal: AbortSignal.abort(new Error('enough')) }), /enough/)
})

test('a handle that nobody listens to does not connect when it is told to', async () => {
  session.reconnect()
  assert.deepEqual([session.snapshot.phase, env.waits], ['idle', []])
})

test('where there is no WebSocket it says so, and opens nothing', async () => {
  const errors: string[] = []
  const none = createClient({ url: peer.url, WebSocket: null, onError: error => errors.push(String(error)) })
  const given = globalThis.WebSocket
  Reflect.deleteProperty(globalThis, 'WebSocket')
  const session = none.session(ID)
  session.subscribe(() => {})
  await until('closed', () => session.snapshot.phase === 'closed')
  if (given) globalThis.WebSocket = given
  assert.match(errors.join(), /UnsupportedError: There is no WebSocket here/)
  none.close()
})

test('a client that was closed opens nothing', async () => {
  session.subscribe(() => {})
  ;(await peer.guest()).welcome(game(1))
  await until('a state', () => session.state)
  own.close()
  assert.deepEqual([session.snapshot.phase, env.waits, page.listeners], ['closed', [], 0])
  assert.throws(() => own.session(A).subscribe(() => {}), /closed/)
  session.reconnect()
  assert.equal(session.snapshot.phase, 'closed')
})
