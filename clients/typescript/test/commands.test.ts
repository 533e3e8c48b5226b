// Commands on the real server, over connections that are cut, swallow what they carry, or are not there: none is
// applied twice, and none to another turn than the one that was meant.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import type { Client, Session, SessionState, SyncKairosError } from '@synckairos/client'
import { TestEnv, until } from './kit/env.js'
import { A, B, ID, Peer, game, reply } from './kit/peer.js'
import { Proxy } from './kit/proxy.js'
import { SyncKairos, client, players } from './kit/server.js'

let server: SyncKairos
let proxy: Proxy
let own: Client
let other: Client

before(async () => { server = await SyncKairos.start() })
after(() => server.stop())
beforeEach(async () => {
  proxy = await Proxy.start(server.url)
  own = client(proxy.url)
  other = client(server.url)
})
afterEach(() => {
  own.close()
  other.close()
  proxy.stop()
})

const code = (code: string) => (error: SyncKairosError) => error.code === code

/** A running game that is watched. */
async function playing(client: Client = own): Promise<Session> {
  const session = await client.create(players({ increment_ms: 1_000 }))
  session.subscribe(() => {})
  await until('connected', () => session.snapshot.phase === 'connected')
  await session.start()
  return session
}

test('every command answers with the state that it made', async () => {
  const session = await own.create(players({ metadata: { room: 'a' } }))
  assert.equal(session.state?.status, 'pending')
  const seen = [
    (await session.start()).status, (await session.pause()).status, (await session.resume()).status,
    (await session.switch()).state.active_participant_id, (await session.update({ metadata: { room: 'b' } })).metadata,
    (await session.complete()).status,
  ]
  assert.deepEqual(seen, ['running', 'paused', 'running', B, { room: 'b' }, 'completed'])
  const second = await own.create(players())
  assert.equal((await second.cancel()).status, 'cancelled')
  await own.delete(second.id)
  await assert.rejects(own.get(second.id), code('SESSION_NOT_FOUND'))
})

test('rule 9: commands go over the socket while it is connected, and as requests otherwise', async () => {
  const peer = await Peer.start()
  peer.answer = ({ url }, response) => reply(response, 200, { data: game(url.endsWith('pause') ? 4 : 3), server_time_ms: 0 })
  const own = client(peer.url)
  const session = own.session(ID)
  session.subscribe(() => {})
  const guest = await peer.guest()
  guest.welcome(game(1))
  await until('connected', () => session.snapshot.phase === 'connected')
  const started = session.start()
  const message = await guest.hears('START')
  guest.send({ type: 'RESULT', request_id: message['request_id'], status: 200, data: game(2), server_time_ms: 0 })
  assert.equal((await started).version, 2)
  assert.equal(peer.requests.length, 0)
  // A condition on the epoch too is for requests alone.
  await session.start({ ifVersion: { epoch: 1_000, version: 2 } })
  assert.equal(peer.requests[0]?.headers['if-match'], '"1000.2"')
  guest.socket.terminate()
  await until('away', () => session.snapshot.phase !== 'connected')
  assert.equal((await session.pause()).version, 4)
  assert.deepEqual(peer.requests.map(({ url }) => url), [`/v1/sessions/${ID}/start`, `/v1/sessions/${ID}/pause`])
  own.close()
  peer.stop()
})

test('rule 9: a press after the turn is over is a conflict, and ends nobody else\'s turn', async () => {
  const session = await playing()
  // What this client saw: A is to move. Somebody else is faster.
  proxy.swallowsAnswers = true
  await other.session(session.id).switch({ from: A })
  assert.equal(session.state?.active_participant_id, A)
  proxy.swallowsAnswers = false
  await assert.rejects(session.switch({ retry: 'never' }), code('CONFLICT'))
  assert.equal((await other.get(session.id)).active_participant_id, B)
})

test('rule 9: a command waits for no connection', async () => {
  const session = await playing()
  proxy.refuses = true
  proxy.cut()
  await until('away', () => session.snapshot.phase !== 'connected')
  await assert.rejects(session.switch(), (error: SyncKairosError) => error.isUnknownOutcome)
  proxy.refuses = false
  session.reconnect()
  await until('back', () => session.snapshot.phase === 'connected')
  assert.equal((await other.get(session.id)).active_participant_id, A)
})

for (const how of ['cut', 'swallowed'] as const) {
  test(`rule 10: a command whose answer was ${how} is carried out once`, async () => {
    const session = await playing(own)
    const version = session.state!.version
    proxy.swallowsAnswers = true
    const switched = session.switch({ timeoutMs: how === 'cut' ? 60_000 : 300 })
    await until('the server did it', async () => (await other.get(session.id)).version > version)
    proxy.swallowsAnswers = false
    if (how === 'cut') proxy.cut()
    const { state } = await switched
    assert.deepEqual([state.active_participant_id, state.version], [B, version + 1])
    const now = await other.get(session.id)
    assert.deepEqual([now.version, now.participants[0]!.cycle_count], [version + 1, 1])
  })
}

test('rule 10: a command that never came is sent again, if nothing happened meanwhile', async () => {
  const session = await playing()
  const version = session.state!.version
  proxy.swallowsRequests = true
  const switched = session.switch({ timeoutMs: 60_000 })
  proxy.swallowsRequests = false
  proxy.cut()
  assert.deepEqual([(await switched).state.version, (await other.get(session.id)).version], [version + 1, version + 1])
})

test('rule 10: and is not, if the turn went round meanwhile', async () => {
  const session = await playing()
  proxy.swallowsRequests = proxy.swallowsAnswers = true
  const switched = session.switch()
  const seen = other.session(session.id)
  await seen.switch({ from: A })
  await seen.switch({ from: B })
  const before = await other.get(session.id)
  assert.equal(before.active_participant_id, A, 'whose turn it is again, though not the one that was meant')
  proxy.swallowsRequests = proxy.swallowsAnswers = false
  proxy.cut()
  await assert.rejects(switched, code('CONFLICT'))
  assert.equal((await other.get(session.id)).version, before.version)
})

test('rule 10: who wants no repetition is told that the outcome is unknown', async () => {
  const session = await playing()
  proxy.swallowsAnswers = true
  const switched = session.switch({ retry: 'never', timeoutMs: 200 })
  await assert.rejects(switched, (error: SyncKairosError) => error.isUnknownOutcome)
  proxy.swallowsAnswers = false
})

test('rule 10: 503 UNKNOWN_OUTCOME is repeated under the same key, and on the same state', async () => {
  const peer = await Peer.start()
  peer.answer = (_, response) => peer.requests.length === 1
    ? reply(response, 503, { error: { code: 'UNKNOWN_OUTCOME', message: 'who knows' } })
    : reply(response, 200, { data: game(2), server_time_ms: 0 })
  const own = client(peer.url)
  const session = own.session(ID)
  const answer = peer.answer
  peer.answer = (_, response) => reply(response, 200, { data: game(1), server_time_ms: Date.now() })
  await own.get(ID)
  peer.requests.length = 0
  peer.answer = answer
  await session.start()
  const [first, second] = peer.requests
  assert.equal(peer.requests.length, 2)
  assert.equal(first!.headers['idempotency-key'], second!.headers['idempotency-key'])
  assert.deepEqual([first!.headers['if-match'], second!.headers['if-match']], [undefined, '"1000.1"'])
  // What is refused is not.
  peer.answer = (_, response) => reply(response, 503, { error: { code: 'UNAVAILABLE', message: 'away' } }, { 'Retry-After': '2' })
  await assert.rejects(session.start(), (error: SyncKairosError) => {
    const { code, status, isRetryable, retryAfterMs, isUnknownOutcome } = error
    assert.deepEqual([code, status, isRetryable, retryAfterMs, isUnknownOutcome], ['UNAVAILABLE', 503, true, 2_000, false])
    return true
  })
  assert.equal(peer.requests.length, 3)
  own.close()
  peer.stop()
})

test('a switch that comes too late says so, and whose clock ran out', async () => {
  const session = await own.create(players({
    participants: players().participants.map(one => ({ ...one, total_time_ms: 1_000 })),
  }))
  const expired = new Promise<{ participantId: string; expiredAt: number; lateMs: number }>(resolve => session.on('expire', resolve))
  await until('connected', () => session.snapshot.phase === 'connected')
  const { deadline_at } = await session.start()
  const { participantId, expiredAt } = await expired
  assert.deepEqual([participantId, expiredAt], [A, Date.parse(deadline_at!)])
  const outcome = await session.switch({ from: A })
  assert.deepEqual([outcome.isLate, outcome.expiredParticipantId, outcome.state.status], [true, A, 'expired'])
})

test('a command that is called off ends with its reason', async () => {
  const session = await playing()
  proxy.swallowsRequests = true
  const off = new AbortController()
  const rejected = assert.rejects(session.switch({ signal: off.signal }), /^Error: no more$/)
  off.abort(new Error('no more'))
  await rejected
  await assert.rejects(session.pause({ signal: off.signal }), /^Error: no more$/)
})

test('rule 17: a server that makes a session without its time control is not believed', async () => {
  const peer = await Peer.start()
  const own = client(peer.url)
  const controlled = players({ time_control: { system: 'byoyomi', base_ms: 1, period_ms: 1, periods: 1 } })
  peer.answer = (_, response) => reply(response, 201, { data: game(1), server_time_ms: 0 })
  await assert.rejects(own.create(controlled), code('UNSUPPORTED'))
  const made: Partial<SessionState> = { time_controls: [{ system: 'absolute', base_ms: 1 }] }
  peer.answer = (_, response) => reply(response, 201, { data: game(1, made), server_time_ms: 0 })
  assert.equal((await own.create(controlled)).id, ID)
  own.close()
  peer.stop()
})

test('the history is read page by page', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'synckairos-'))
  const keeping = await SyncKairos.start({ DATA_DIR: directory })
  const own = client(keeping.url)
  const session = await own.create(players())
  await session.start()
  for (let n = 0; n < 5; n++) await session.switch()
  const kinds: string[] = []
  for await (const change of own.history(session.id, { limit: 2 })) kinds.push(change.event_type)
  assert.deepEqual(kinds, ['session_created', 'session_started', ...Array(5).fill('cycle_switched')])
  await keeping.stop()
  rmSync(directory, { recursive: true })
})

test('lists go by their cursor', async () => {
  const peer = await Peer.start()
  const own = client(peer.url)
  peer.answer = ({ url }, response) => url.includes('cursor=2')
    ? reply(response, 200, { data: [{ session_id: B }] })
    : reply(response, 200, { data: [{ session_id: ID }, { session_id: A }], next: '2' })
  const ids: string[] = []
  for await (const one of own.list({ status: 'running', limit: 2, 'metadata.room': 'a7' })) ids.push(one.session_id)
  assert.deepEqual([ids, peer.requests[1]?.url], [[ID, A, B], '/v1/sessions?status=running&limit=2&metadata.room=a7&cursor=2'])
  own.close()
  peer.stop()
})

test('a clock without a connection is measured by five requests', async () => {
  const env = new TestEnv({ isReal: true })
  const own = client(server.url, { env })
  assert.deepEqual([own.clock.isSynced, own.clock.errorMs], [false, Infinity])
  await own.clock.sync()
  assert.equal(own.clock.isSynced, true)
  assert.ok(Math.abs(own.clock.now() - Date.now()) <= own.clock.errorMs + 1, 'this machine has the server\'s clock')
  own.close()
})
