// States: which count, what they tell, and what a connection that comes back makes up for.

import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import type { Client, Session, SessionState } from '@synckairos/client'
import { until } from './kit/env.js'
import { A, B, ID, Peer, game, reply } from './kit/peer.js'
import { client } from './kit/server.js'

let peer: Peer
let own: Client
let session: Session
let told: unknown[][]

beforeEach(async () => {
  peer = await Peer.start()
  own = client(peer.url)
  session = own.session(ID)
  told = []
  session.on('change', state => told.push(['change', state.epoch, state.version]))
  session.on('gap', event => told.push(['gap', event]))
  session.on('expire', ({ participantId, expiredAt }) => told.push(['expire', participantId, expiredAt]))
})

afterEach(() => {
  own.close()
  peer.stop()
})

const flagged = (version: number, expired_at: string, more: Partial<SessionState> = {}) => {
  const state = game(version, more)
  Object.assign(state.participants[0]!, { has_expired: true, expired_at, time_remaining_ms: 0 })
  return state
}

async function shows(version: number, epoch = 1_000): Promise<void> {
  await until(`version ${version}`, () => session.state?.version === version && session.state.epoch === epoch)
}

test('rule 1: only a newer epoch and version counts, whatever brings it', async () => {
  const guest = await peer.guest()
  guest.welcome(game(3))
  await shows(3)
  guest.update(game(2))
  guest.update(game(3, { status: 'paused' }))
  guest.update(game(4))
  await shows(4)
  // An answer to a request that took its time.
  peer.answer = (_, response) => reply(response, 200, { data: game(3), server_time_ms: Date.now() })
  await own.get(ID)
  assert.equal(session.state?.version, 4)
  // And one that is ahead of the connection.
  peer.answer = (_, response) => reply(response, 200, { data: game(5), server_time_ms: Date.now() })
  await own.get(ID)
  guest.update(game(5))
  guest.update(game(6))
  await shows(6)
  assert.deepEqual(told, [['change', 1000, 3], ['change', 1000, 4], ['change', 1000, 5], ['change', 1000, 6]])
})

test('rule 1: a jump tells how many were missed, and a new life that there is a gap', async () => {
  const guest = await peer.guest()
  guest.welcome(game(1))
  guest.update(game(2))
  guest.update(game(6))
  guest.update(game(1, { epoch: 2_000 }))
  await shows(1, 2_000)
  guest.update(game(9))
  guest.update(game(2, { epoch: 2_000 }))
  await shows(2, 2_000)
  assert.deepEqual(told, [
    ['change', 1000, 1], ['change', 1000, 2], ['change', 1000, 6], ['gap', { missed: 3 }],
    ['change', 2000, 1], ['gap', {}], ['change', 2000, 2],
  ])
})

test('rule 1: a connection that comes back tells what was missed by its STATE_SYNC', async () => {
  const first = await peer.guest()
  first.welcome(game(1))
  await shows(1)
  first.socket.terminate()
  const second = await peer.guest(2)
  second.welcome(game(1))
  second.update(game(2))
  await shows(2)
  second.socket.terminate()
  const third = await peer.guest(3)
  third.welcome(game(5))
  await shows(5)
  assert.deepEqual(told.filter(([name]) => name === 'gap'), [['gap', { missed: 2 }]])
})

test('rule 2: expire comes from states, once, and not from the first', async () => {
  const at = '2026-01-31T12:00:00.000Z'
  const guest = await peer.guest()
  guest.welcome(flagged(3, at, { on_timeout: 'notify' }))
  await shows(3)
  guest.send({ type: 'TIME_EXPIRED', sessionId: ID, timestamp: 0, expired_participant_id: A, expired_at: at })
  guest.update(flagged(4, at))
  await shows(4)
  assert.deepEqual(told.filter(([name]) => name === 'expire'), [])
  const later = '2026-01-31T12:00:05.000Z'
  guest.update(flagged(5, later))
  guest.send({ type: 'TIME_EXPIRED', sessionId: ID, timestamp: 0, expired_participant_id: A, expired_at: later })
  guest.update(flagged(6, later))
  await shows(6)
  assert.deepEqual(told.filter(([name]) => name === 'expire'), [['expire', A, Date.parse(later)]])
})

test('rule 2: a flag that fell while the connection was away is told once, when it is back', async () => {
  const at = '2026-01-31T12:00:00.000Z'
  const first = await peer.guest()
  first.welcome(game(1))
  await shows(1)
  first.socket.terminate()
  const second = await peer.guest(2)
  second.welcome(flagged(2, at, { status: 'expired' }))
  await shows(2)
  second.socket.terminate()
  ;(await peer.guest(3)).welcome(flagged(2, at, { status: 'expired' }))
  await until('connected', () => session.snapshot.phase === 'connected')
  assert.deepEqual(told.filter(([name]) => name === 'expire'), [['expire', A, Date.parse(at)]])
})

test('a delta makes the next state of the one it is about', async () => {
  const guest = await peer.guest()
  guest.welcome(game(3, { metadata: { round: 1 }, warn_at_ms: [1_000] }))
  await shows(3)
  guest.send({
    type: 'STATE_DELTA', sessionId: ID, timestamp: Date.now(), epoch: 1_000, version: 5, base_version: 3,
    set: { active_participant_id: B, metadata: { round: 2 } }, unset: ['warn_at_ms'],
    participants: [
      { participant_id: A, set: { is_active: false, time_used_ms: 700 } }, { participant_id: B, set: { is_active: true } },
    ],
  })
  await shows(5)
  const expected = game(5, { active_participant_id: B, metadata: { round: 2 } })
  Object.assign(expected.participants[0]!, { is_active: false, time_used_ms: 700 })
  Object.assign(expected.participants[1]!, { is_active: true })
  const { cycle_started_at, session_started_at, created_at, updated_at, deadline_at } = session.state!
  assert.deepEqual(session.state, { ...expected, cycle_started_at, session_started_at, created_at, updated_at, deadline_at })
})

test('a delta of another state asks for a whole one, and an old one for nothing', async () => {
  const guest = await peer.guest()
  guest.welcome(game(3))
  await shows(3)
  const delta = { type: 'STATE_DELTA', sessionId: ID, timestamp: Date.now(), epoch: 1_000 }
  guest.send({ ...delta, version: 3, base_version: 2, set: { status: 'paused' } })
  guest.send({ ...delta, version: 6, base_version: 5, set: { status: 'paused' } })
  await guest.hears('RECONNECT')
  guest.send({ type: 'STATE_SYNC', sessionId: ID, timestamp: Date.now(), state: game(6, { status: 'paused' }) })
  await shows(6)
  assert.equal(guest.count('RECONNECT'), 1)
  assert.deepEqual(told.filter(([name]) => name === 'gap'), [['gap', { missed: 2 }]])
})

test('what the server does not know itself is told as it came', async () => {
  const foreign: unknown[] = []
  session.on('message', message => foreign.push(message))
  const guest = await peer.guest()
  guest.welcome(game(1))
  guest.send({ type: 'CHAT', text: 'well played' })
  guest.socket.send('no JSON')
  guest.socket.send('7')
  guest.update(game(2))
  await shows(2)
  assert.deepEqual(foreign, [{ type: 'CHAT', text: 'well played' }])
})

test('a session that is deleted ends for good, and can be told of anew', async () => {
  const deleted: boolean[] = []
  session.on('deleted', () => deleted.push(session.snapshot.isDeleted))
  const guest = await peer.guest()
  guest.welcome(game(1))
  await shows(1)
  guest.send({ type: 'SESSION_DELETED', sessionId: ID, timestamp: Date.now(), reason: 'lapsed' })
  await until('closed', () => session.snapshot.phase === 'closed')
  assert.deepEqual([deleted, session.snapshot.closeReason], [[true], { code: 1000, reason: 'lapsed' }])
  session.reconnect()
  ;(await peer.guest(2)).welcome(game(1, { epoch: 2_000 }))
  await shows(1, 2_000)
  assert.equal(session.snapshot.isDeleted, false)
})
