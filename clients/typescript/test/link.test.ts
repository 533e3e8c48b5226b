// The connection: when it is believed, when it is tried again, and when it is given up.

import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import type { Client, ClientOptions, Session } from '@synckairos/client'
import { TestEnv, TestPage, until } from './kit/env.js'
import { ID, Peer, game, reply } from './kit/peer.js'
import type { Guest } from './kit/peer.js'
import { client } from './kit/server.js'

let peer: Peer
let env: TestEnv
let page: TestPage
let own: Client
let session: Session
let chance: number

function watch(options: Partial<ClientOptions> = {}): void {
  own = client(peer.url, { env, reconnect: { minMs: 250, maxMs: 20_000 }, ...options })
  session = own.session(ID)
  session.subscribe(() => {})
}

beforeEach(async () => {
  peer = await Peer.start()
  page = new TestPage()
  chance = 0.5
  env = new TestEnv({ page, random: () => chance })
})

afterEach(() => {
  own.close()
  peer.stop()
})

const phase = (wanted: string) => until(wanted, () => session.snapshot.phase === wanted)

async function connected(count = 1): Promise<Guest> {
  const guest = await peer.guest(count)
  guest.welcome(game(1))
  await phase('connected')
  await guest.hears('PING')
  return guest
}

/** Answers all pings that were not answered yet. */
function pong(guest: Guest, from = 0): number {
  const pings = guest.said.filter(one => one.type === 'PING').slice(from)
  for (const ping of pings) {
    const now = Date.now()
    guest.send({ type: 'PONG', timestamp: now, received_at: now, client_timestamp: ping['timestamp'] })
  }
  return from + pings.length
}

async function synced(): Promise<void> {
  await until('synced', () => own.clock.isSynced)
}

test('rule 3: five pings a quarter of a second apart, then one each ten seconds, named by integers', async () => {
  watch()
  const guest = await connected()
  let answered = pong(guest)
  await synced()
  for (let n = 2; n <= 5; n++) {
    env.pass(250)
    await guest.hears('PING', n)
    answered = pong(guest, answered)
  }
  env.pass(9_999)
  assert.equal(guest.count('PING'), 5)
  env.pass(1)
  const last = await guest.hears('PING', 6)
  assert.ok(Number.isInteger(last['timestamp']))
})

test('rule 5: a visible page that hears no PONG for five seconds connects anew, though the socket says OPEN', async () => {
  watch()
  const guest = await connected()
  env.pass(4_999)
  assert.equal(session.snapshot.phase, 'connected')
  env.pass(1)
  assert.equal(session.snapshot.phase, 'reconnecting')
  env.pass(250)
  await connected(2)
  await until('the old one is closed', () => guest.closed !== undefined)
})

test('rule 5: a hidden page sends pings and gives up nothing', async () => {
  watch()
  const guest = await connected()
  page.tell('hidden')
  env.pass(60_000)
  await guest.hears('PING', 10)
  assert.equal(session.snapshot.phase, 'connected')
  // What crossed the hiding is no sample.
  pong(guest)
  guest.update(game(2))
  await until('version 2', () => session.state?.version === 2)
  assert.equal(own.clock.isSynced, true, 'those that were sent while it was hidden all along are')
})

test('rule 5: a pong that crossed a hide is no sample', async () => {
  watch()
  const guest = await connected()
  page.tell('hidden')
  pong(guest)
  guest.update(game(2))
  await until('version 2', () => session.state?.version === 2)
  assert.equal(own.clock.isSynced, false)
})

test('rule 5: a page that wakes gives the connection two seconds', async () => {
  watch()
  const guest = await connected()
  pong(guest)
  await synced()
  page.tell('hidden')
  page.tell('shown')
  await guest.hears('PING', 2)
  assert.equal(own.clock.isSynced, false)
  env.pass(1_999)
  assert.equal(session.snapshot.phase, 'connected')
  env.pass(1)
  assert.equal(session.snapshot.phase, 'reconnecting')
})

test('rule 4: a machine that slept doubts its clock and asks at once', async () => {
  watch()
  const guest = await connected()
  let answered = pong(guest)
  await synced()
  const before = own.clock.now()
  env.sleep(3_600_000)
  assert.ok(Math.abs(own.clock.now() - before - 3_600_000) < 1, 'what it slept is added until it is known better')
  assert.deepEqual([own.clock.isSynced, session.snapshot.isSynced], [false, false])
  await guest.hears('PING', answered + 1)
  const pings = guest.said.filter(one => one.type === 'PING')
  const now = Date.now() + 3_600_000
  guest.send({ type: 'PONG', timestamp: now, received_at: now, client_timestamp: pings.at(-1)!['timestamp'] })
  await until('synced again', () => session.snapshot.isSynced)
})

test('rule 6: pauses have full jitter, double, and end at the most', async () => {
  watch()
  chance = 1
  peer.refusal = { status: 503 }
  for (const expected of [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 20_000, 20_000]) {
    await until('a pause of ' + expected, () => env.waits.some(wait => Math.abs(wait - expected) < 1))
    env.pass(expected)
  }
})

test('rule 6: the pause is short again after a connection that stood for five seconds, and only then', async () => {
  watch()
  chance = 1
  const first = await connected()
  first.socket.terminate()
  await phase('reconnecting')
  env.pass(250)
  const second = await connected(2)
  second.socket.terminate()
  await phase('reconnecting')
  assert.deepEqual(env.waits.filter(wait => wait < 1_000).map(Math.round), [500])
  env.pass(500)
  const third = await connected(3)
  pong(third)
  await synced()
  env.pass(4_999)
  await third.hears('PING', 5)
  env.pass(1)
  third.socket.terminate()
  await phase('reconnecting')
  assert.deepEqual(env.waits.filter(wait => wait < 1_000).map(Math.round), [250])
  env.pass(250)
  await connected(4)
})

test('rule 6: one attempt at a time, and reconnect, waking and going online try at once', async () => {
  watch()
  const first = await connected()
  session.reconnect()
  session.reconnect()
  session.reconnect()
  const latest = await until('attempts', () => peer.guests.length > 1 ? peer.guests.at(-1) : undefined)
  await until('only the last stands', () => peer.guests.filter(one => one.closed === undefined).length === 1)
  latest.welcome(game(1))
  await phase('connected')
  assert.notEqual(first.closed, undefined)
  const count = peer.guests.length
  latest.socket.terminate()
  await phase('reconnecting')
  page.tell('woken')
  await connected(count + 1)
})

test('rule 6: a handshake that takes five seconds is given up', async () => {
  watch()
  await peer.guest()
  env.pass(5_000)
  assert.equal(session.snapshot.phase, 'reconnecting')
  env.pass(125)
  await connected(2)
})

for (const code of [1001, 1006, 1011, 1012, 1013, 4000, 4499]) {
  test(`rule 7: after ${code} it comes again`, async () => {
    watch()
    const guest = await connected()
    if (code === 1006) guest.socket.terminate()
    else guest.socket.close(code, 'why')
    await phase('reconnecting')
    env.pass(code === 1001 ? 2_500 : 125)
    await connected(2)
  })
}

for (const code of [1008, 4500, 4501, 4503, 4999]) {
  test(`rule 7: after ${code} it does not come again, but when it is told to`, async () => {
    watch()
    const guest = await connected()
    guest.socket.close(code, 'why')
    await phase('closed')
    assert.deepEqual(session.snapshot.closeReason, { code, reason: 'why' })
    env.pass(60_000)
    await new Promise(resolve => setImmediate(resolve))
    assert.equal(peer.guests.length, 1)
    session.reconnect()
    await connected(2)
    assert.equal(session.snapshot.closeReason, undefined)
  })
}

test('rule 7: clients of an instance that stops spread over five seconds', async () => {
  chance = 0.9
  watch()
  const guest = await connected()
  guest.socket.close(1001, 'Server shutting down')
  await phase('reconnecting')
  assert.ok(env.waits.some(wait => Math.abs(wait - 4_500) < 1), `${env.waits}`)
  env.pass(4_501)
  await connected(2)
})

test('rule 7: a socket that twice does not open asks by a request why, and obeys Retry-After', async () => {
  peer.refusal = { status: 503 }
  peer.answer = (_, response) => reply(response, 503, { error: { code: 'UNAVAILABLE', message: 'away' } }, { 'Retry-After': '30' })
  watch()
  await phase('reconnecting')
  assert.equal(peer.requests.length, 0)
  env.pass(250)
  await until('it asks', () => peer.requests.length === 1)
  await until('it waits', () => env.waits.some(wait => Math.abs(wait - 30_000) < 1))
  peer.refusal = undefined
  env.pass(30_000)
  await connected()
})

test('rule 7: and does not come again where that says that it may not', async () => {
  peer.refusal = { status: 403 }
  peer.answer = (_, response) => reply(response, 403, { error: { code: 'ORIGIN_NOT_ALLOWED', message: 'not from here' } })
  watch()
  await phase('reconnecting')
  env.pass(250)
  await phase('closed')
  assert.deepEqual(session.snapshot.closeReason, { code: 403, reason: 'not from here' })
})

test('rule 13: lost is told after five seconds without a connection, and phases at once', async () => {
  watch()
  const told: unknown[] = []
  session.on('lost', isLost => told.push(isLost))
  session.on('phase', phase => told.push(phase))
  const guest = await connected()
  peer.refusal = { status: 503 }
  guest.socket.terminate()
  await phase('reconnecting')
  env.pass(125)
  env.pass(4_874)
  assert.equal(session.snapshot.isLost, false)
  env.pass(1)
  assert.equal(session.snapshot.isLost, true)
  peer.refusal = undefined
  session.reconnect()
  await connected(2)
  assert.equal(session.snapshot.isLost, false)
  assert.deepEqual(told.filter(one => one !== 'reconnecting'), ['connected', true, 'connected', false])
})
