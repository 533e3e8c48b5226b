// Tokens: when one is asked for, by how many, and what happens where there is none. The server is the real one where
// it judges tokens, and a scripted one where a moment matters.

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { after, afterEach, before, test } from 'node:test'
import { UnauthorizedError } from '@synckairos/client'
import type { Client, ClientOptions, TokenContext } from '@synckairos/client'
import { TestEnv, until } from './kit/env.js'
import { A, B, ID, Peer, game, reply } from './kit/peer.js'
import { SyncKairos, client, players } from './kit/server.js'

const SECRET = Buffer.alloc(32, 7)

/** A token as the server of an application signs it. */
function sign(seconds: number, allow: string[] = ['*'], secret: Buffer = SECRET): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const now = Math.floor(Date.now() / 1000)
  const grants = [{ sessions: ['*'], allow }]
  const text = part({ alg: 'HS256', typ: 'JWT' }) + '.'
    + part({ sub: 'u1', aud: 'synckairos', iat: now, exp: now + seconds, synckairos: { grants } })
  return text + '.' + createHmac('sha256', secret).update(text).digest('base64url')
}

let server: SyncKairos
let own: Client | undefined
let peer: Peer | undefined

before(async () => {
  const secret = SECRET.toString('base64url')
  server = await SyncKairos.start({ AUTH: 'on', TOKEN_SECRET: secret, TOKEN_ALLOW: '*' })
})
after(() => server.stop())
afterEach(() => {
  own?.close()
  peer?.stop()
  own = peer = undefined
})

/** A client that notes what it is asked for. */
function asking(url: string, give: (n: number, context: TokenContext) => string, options: Partial<ClientOptions> = {}) {
  const asked: string[] = []
  const getToken = async (context: TokenContext) => {
    asked.push(context.reason)
    return give(asked.length, context)
  }
  own = client(url, { getToken, ...options })
  return { own, asked }
}

test('rule 8: a token goes into requests and into the handshake', async () => {
  const { own, asked } = asking(server.url, () => sign(600))
  const session = await own.create(players())
  session.subscribe(() => {})
  await session.ready()
  await until('connected', () => session.snapshot.phase === 'connected')
  await session.start()
  const { state } = await session.switch({ to: B })
  assert.equal(state.active_participant_id, B)
  assert.deepEqual(asked, ['first', 'first'], 'once for requests, once for the connection')
})

test('rule 8: a refused token is asked for again, once, by one for all', async () => {
  const { own, asked } = asking(server.url, n => n === 1 ? sign(600, ['*'], Buffer.alloc(32, 8)) : sign(600))
  const session = await own.create(players())
  assert.deepEqual([session.state?.version, asked], [1, ['first', 'rejected']])
  const refused = asking(server.url, () => sign(600, ['*'], Buffer.alloc(32, 8)))
  await assert.rejects(refused.own.get(ID), UnauthorizedError)
  assert.deepEqual(refused.asked, ['first', 'rejected'])
})

test('rule 8: a token that cannot count ends the connection for good', async () => {
  const { own } = asking(server.url, () => sign(600, ['*'], Buffer.alloc(32, 8)))
  const session = own.session(ID)
  session.subscribe(() => {})
  await until('closed', () => session.snapshot.phase === 'closed')
  assert.equal(session.snapshot.closeReason?.code, 4501)
})

test('rule 8: a token that may not watch ends it too', async () => {
  const { own } = asking(server.url, () => sign(600, ['read']))
  const session = own.session(ID)
  session.subscribe(() => {})
  await until('closed', () => session.snapshot.phase === 'closed')
  assert.equal(session.snapshot.closeReason?.code, 4503)
})

test('rule 8: a token is renewed in place before it ends', async () => {
  const { own, asked } = asking(server.url, n => sign(n === 1 ? -27 : 600))
  const session = own.session(ID)
  session.subscribe(() => {})
  await until('connected', () => session.snapshot.phase === 'connected')
  await until('renewed', () => asked.includes('expiring'))
  assert.equal(session.snapshot.phase, 'connected')
  assert.deepEqual(asked, ['first', 'expiring'])
})

test('rule 8: all sessions wait for one who asks', async () => {
  peer = await Peer.start()
  let give: ((token: string) => void) | undefined
  const asked: TokenContext[] = []
  own = client(peer.url, {
    getToken: context => {
      asked.push(context)
      return new Promise<string>(resolve => { give = resolve })
    },
  })
  for (const id of [ID, A, B]) own.session(id).subscribe(() => {})
  await until('it is asked', () => give)
  assert.deepEqual(asked, [{ reason: 'first', sessionId: ID }])
  give!('t-1')
  await peer.guest(3)
  assert.deepEqual(peer.guests.map(one => one.request.headers['sec-websocket-protocol']),
    Array(3).fill('synckairos.v1,bearer.t-1'))
})

test('rule 8: a token that ended is followed by a new connection with another one', async () => {
  peer = await Peer.start()
  const { own, asked } = asking(peer.url, n => 't-' + n)
  const session = own.session(ID)
  session.subscribe(() => {})
  const guest = await peer.guest()
  guest.welcome(game(1))
  guest.send({ type: 'TOKEN_EXPIRING', timestamp: Date.now() })
  assert.equal((await guest.hears('AUTH'))['token'], 't-2')
  guest.socket.close(4401, 'Token expired')
  const second = await peer.guest(2)
  assert.deepEqual(asked, ['first', 'expiring', 'expired'])
  assert.match(second.request.headers['sec-websocket-protocol']!, /bearer\.t-3$/)
})

test('rule 8: an error of who hands out tokens is tried again, no token ends it', async () => {
  peer = await Peer.start()
  const env = new TestEnv()
  const errors: unknown[] = []
  const { own, asked } = asking(peer.url, n => {
    if (n === 1) throw new Error('the network')
    return ''
  }, { env, onError: error => errors.push(String(error)) })
  const session = own.session(ID)
  session.subscribe(() => {})
  await until('it waits', () => session.snapshot.phase === 'reconnecting')
  env.pass(10_000)
  await until('closed', () => session.snapshot.phase === 'closed')
  assert.deepEqual([asked, errors, session.snapshot.closeReason?.code], [['first', 'first'], ['Error: the network'], 401])
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(peer.guests.length, 0)
})

test('rule 8: a request that finds its token refused takes a newer one before it asks', async () => {
  peer = await Peer.start()
  peer.answer = ({ headers }, response) => headers.authorization === 'Bearer t-2'
    ? reply(response, 200, { data: game(1), server_time_ms: Date.now() })
    : reply(response, 401, { error: { code: 'TOKEN_EXPIRED', message: 'it ended' } })
  const { own, asked } = asking(peer.url, n => 't-' + n)
  const both = await Promise.all([own.get(ID), own.get(ID)])
  assert.deepEqual([both.length, asked], [2, ['first', 'expired']])
})
