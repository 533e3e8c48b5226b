// A handle over everything that happens to a server and to the way there: ends, crashes, silence, sleep. Expiry is
// told once whatever happens, and clocks agree within what they say of their error.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import type { Client, Session } from '@synckairos/client'
import { platform } from '../dist/env.js'
import { TestEnv, seeded, until } from './kit/env.js'
import { A, B } from './kit/peer.js'
import { Proxy } from './kit/proxy.js'
import { SyncKairos, client, players } from './kit/server.js'

let server: SyncKairos
let proxy: Proxy
let own: Client
before(async () => { server = await SyncKairos.start() })
after(() => server.stop())
beforeEach(async () => { proxy = await Proxy.start(server.url) })
afterEach(() => {
  own.close()
  proxy.stop()
})

const isConnected = (session: Session) => () => session.snapshot.phase === 'connected' && session.state

test('ten clients agree on how long a clock has, within what each says of its error', async () => {
  own = client(server.url)
  const session = await own.create(players())
  await session.start()
  const random = seeded(3)
  proxy.delay = () => random() * 40
  const all = Array.from({ length: 10 }, (_, n) => client(n % 2 ? proxy.url : server.url, { pingMs: 100 }))
  const handles = all.map(one => one.session(session.id))
  handles.forEach(one => one.subscribe(() => {}))
  await until('all are in sync', () => handles.every(one => one.snapshot.isSynced && one.state))
  const read = handles.map((one, n) => ({ left: one.untilDeadline()!, errorMs: all[n]!.clock.errorMs, at: performance.now() }))
  for (const one of read) {
    for (const other of read) {
      const apart = Math.abs(one.left + one.at - other.left - other.at)
      assert.ok(apart <= one.errorMs + other.errorMs, `${apart} ms apart, of ${one.errorMs} and ${other.errorMs}`)
    }
  }
  all.forEach(one => one.close())
})

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  test(`a server that ends by ${signal} and comes back finds its clients, and each flag is told once`, async () => {
    const directory = mkdtempSync(tmpdir() + '/synckairos-')
    const first = await SyncKairos.start({ DATA_DIR: directory })
    own = client(first.url, { env: { ...platform(), random: () => 0.02 }, reconnect: { minMs: 1_000, maxMs: 5_000 } })
    const session = await own.create(players({
      participants: players().participants.map(one => ({ ...one, total_time_ms: 2_000 })),
    }))
    const told: string[] = []
    session.on('expire', ({ participantId }) => told.push(participantId))
    await until('connected', isConnected(session))
    await session.start()
    await first.stop(signal)
    await until('away', () => session.snapshot.phase === 'reconnecting')
    const second = await SyncKairos.start({ DATA_DIR: directory, PORT: new URL(first.url).port })
    await until('back', isConnected(session), 30_000)
    await until('the flag', () => session.state?.status === 'expired')
    assert.deepEqual(told, [A])
    session.reconnect()
    await until('back again', isConnected(session))
    assert.deepEqual(told, [A])
    own.close()
    await second.stop()
    rmSync(directory, { recursive: true })
  })
}

test('rule 5: a connection that swallows everything is noticed by its pings, and made up for', async () => {
  const env = new TestEnv({ isReal: true })
  own = client(proxy.url, { env })
  const session = await own.create(players())
  session.subscribe(() => {})
  await until('connected', isConnected(session))
  await session.start()
  await until('in sync', () => session.snapshot.isSynced)
  proxy.swallowsAnswers = true
  const other = client(server.url)
  await other.session(session.id).switch({ from: A })
  env.pass(10_000)
  env.pass(5_000)
  assert.equal(session.snapshot.phase, 'reconnecting')
  proxy.swallowsAnswers = false
  env.pass(1_000)
  await until('the switch', () => session.state?.active_participant_id === B)
  other.close()
})

test('rule 4: a laptop that slept through a flag is told of it once, and trusts its clock after one answer', async () => {
  const env = new TestEnv({ isReal: true })
  own = client(proxy.url, { env })
  const session = await own.create(players({
    participants: players().participants.map(one => ({ ...one, total_time_ms: 1_000 })),
  }))
  const told: number[] = []
  session.on('expire', ({ lateMs }) => told.push(lateMs))
  await until('connected', isConnected(session))
  await session.start()
  proxy.swallowsAnswers = proxy.swallowsRequests = true
  env.sleep(60_000)
  session.now()
  assert.equal(own.clock.isSynced, false)
  const other = client(server.url)
  await until('the flag', async () => (await other.get(session.id)).status === 'expired')
  assert.deepEqual(told, [])
  // Two seconds are enough after waking.
  env.pass(2_000)
  assert.equal(session.snapshot.phase, 'reconnecting')
  proxy.swallowsAnswers = proxy.swallowsRequests = false
  env.pass(500)
  await until('told', () => told.length > 0)
  await until('in sync', () => own.clock.isSynced)
  assert.equal(told.length, 1)
  other.close()
})
