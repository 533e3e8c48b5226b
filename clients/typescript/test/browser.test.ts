// Pages without a bundler, in Chromium, with the real server: their clocks agree, whatever their dates are, the
// element draws, and a page that wakes or loses its connection finds back.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Session } from '@synckairos/client'
import { Chromium } from './kit/chromium.js'
import type { Tab } from './kit/chromium.js'
import { seeded, until } from './kit/env.js'
import { A, B } from './kit/peer.js'
import { Proxy } from './kit/proxy.js'
import { SyncKairos, client, players } from './kit/server.js'
import { Site } from './kit/site.js'

let server: SyncKairos
let site: Site
let browser: Chromium
before(async () => {
  server = await SyncKairos.start()
  site = await Site.start()
  browser = await Chromium.start()
})
after(async () => {
  site.stop()
  await browser.stop()
  await server.stop()
})

/** A page that watches a session. */
async function watch(id: string, url: string, before = '', options = '{}'): Promise<Tab> {
  const page = site.page('/watch', `
    import { createClient } from '@synckairos/client'
    const [url, id, options] = JSON.parse(decodeURIComponent(location.search.slice(1)))
    window.client = createClient({ url, ...options })
    window.session = client.session(id)
    window.told = []
    session.on('expire', event => told.push(event))
    // The server's time less this machine's, by a clock that no page can set.
    window.apart = () => client.clock.now() - (performance.timeOrigin + performance.now())
  `)
  const tab = await browser.open(page + '?' + encodeURIComponent(JSON.stringify([url, id, JSON.parse(options)])), before)
  await tab.until('window.session?.snapshot.phase === "connected" && session.state && client.clock.isSynced')
  return tab
}

async function playing(): Promise<Session> {
  const own = client(server.url)
  const session = await own.create(players())
  await session.start()
  own.close()
  return session
}

const TWO_HOURS_OFF = `
  const now = Date.now
  Date.now = () => now() + 7_200_000
`

test('two pages agree within 5 ms with each other and the server, one with its date two hours off', async () => {
  const session = await playing()
  const options = '{"pingMs":100}'
  const one = await watch(session.id, server.url, '', options)
  const other = await watch(session.id, server.url, TWO_HOURS_OFF, options)
  assert.ok(await other.run('Date.now() - performance.timeOrigin > 7_000_000'))
  await Promise.all([one, other].map(tab => tab.until('client.clock.errorMs <= 2.5')))
  const [first, second] = await Promise.all([one.run('apart()'), other.run('apart()')])
  assert.ok(Math.abs(first - second) <= 5, `${first} and ${second}`)
  // The server runs on this machine: its clock is this one, but for what the system led it by since it started.
  assert.ok(Math.abs(first) <= 5, `${first}`)
  for (const tab of [one, other]) assert.ok(await tab.run('Math.abs(apart()) <= client.clock.errorMs + 1'))
})

test('with 100 ms of jitter a page is within its own bound, of at most 40 ms after sixteen samples', async () => {
  const session = await playing()
  const proxy = await Proxy.start(server.url)
  const random = seeded(5)
  proxy.delay = () => random() * 100
  const tab = await watch(session.id, proxy.url, '', '{"pingMs":150}')
  await tab.until('client.clock.errorMs <= 40')
  for (let n = 0; n < 20; n++) {
    const { apart, errorMs } = await tab.run('({ apart: apart(), errorMs: client.clock.errorMs })')
    assert.ok(Math.abs(apart) <= errorMs + 1, `off by ${apart}, said ${errorMs}`)
  }
  proxy.stop()
})

test('the flag falls in two pages by one state, told once in each', async () => {
  const own = client(server.url)
  const participants = players().participants.map(one => ({ ...one, total_time_ms: 1_000 }))
  const session = await own.create(players({ participants }))
  const tabs = [await watch(session.id, server.url), await watch(session.id, server.url)]
  await session.start()
  for (const tab of tabs) await tab.until('told.length > 0')
  const told = await Promise.all(tabs.map(tab => tab.run('told')))
  assert.deepEqual(told.map(one => one.length), [1, 1])
  assert.deepEqual([told[0][0].participantId, told[0][0].expiredAt], [A, told[1][0].expiredAt])
  own.close()
})

test('a page that was hidden, or whose connection was cut, finds back', async () => {
  const session = await playing()
  const proxy = await Proxy.start(server.url)
  const tab = await watch(session.id, proxy.url, '', '{"reconnect":{"minMs":20,"maxMs":100}}')
  const own = client(server.url)
  proxy.cut()
  await own.session(session.id).switch({ from: A })
  await tab.until(`session.snapshot.phase === 'connected' && session.state.active_participant_id === '${B}'`)
  // The connection swallows everything while nobody looks; the socket still says that it is open.
  await tab.run(`Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => 'hidden' });
    document.dispatchEvent(new Event('visibilitychange'))`)
  proxy.swallowsAnswers = proxy.swallowsRequests = true
  const accepted = proxy.accepted
  await own.session(session.id).switch({ from: B })
  await tab.run(`delete document.visibilityState; document.dispatchEvent(new Event('visibilitychange'))`)
  assert.equal(await tab.run('client.clock.isSynced'), false)
  await until('it gives the connection up', () => proxy.accepted > accepted || tab.run('session.snapshot.phase !== "connected"'))
  proxy.swallowsAnswers = proxy.swallowsRequests = false
  await tab.run('session.reconnect()')
  await tab.until(`session.snapshot.isSynced && session.state.active_participant_id === '${A}'`)
  own.close()
  proxy.stop()
})

test('a page gives commands by requests to a server of another origin', async () => {
  const page = site.page('/rest', `
    import { createClient } from '@synckairos/client'
    window.client = createClient({ url: ${JSON.stringify(server.url)}, commands: 'rest' })
  `)
  const tab = await browser.open(page)
  const told = await tab.run(`(async () => {
    const session = await client.create(${JSON.stringify(players())})
    const { epoch, version } = await session.start()
    const { state } = await session.switch({ ifVersion: { epoch, version } })
    const refused = await session.switch({ ifVersion: { epoch, version } }).catch(error => error.code)
    await client.clock.sync()
    return [state.active_participant_id, refused, client.clock.isSynced, session.snapshot.phase]
  })()`)
  assert.deepEqual(told, [B, 'CONFLICT', true, 'idle'])
})

/** Counts frames that are asked for, and texts that are written. */
const COUNT = `
  window.frames_asked = 0
  const ask = window.requestAnimationFrame
  window.requestAnimationFrame = f => { frames_asked++; return ask(f) }
  window.count = element => {
    const texts = []
    const observer = new MutationObserver(() => texts.push(element.textContent))
    observer.observe(element, { childList: true, characterData: true, subtree: true })
    return texts
  }
`

test('rule 16: a clock of seconds asks for no frame, a hidden one for nothing, and texts are written when they differ', async () => {
  const session = await playing()
  const element = (tenths: string) =>
    `<synckairos-clock url="${server.url}" session-id="${session.id}" participant="${A}" ${tenths}></synckairos-clock>`
  const open = async (path: string, tenths: string) => {
    const tab = await browser.open(site.page(path, `import '@synckairos/client/element'`, element(tenths)), COUNT)
    await tab.until(`document.querySelector('synckairos-clock').textContent`)
    await tab.run(`window.texts = count(document.querySelector('synckairos-clock'))`)
    return tab
  }
  const seconds = await open('/seconds', '')
  await seconds.until('texts.length >= 2')
  assert.equal(await seconds.run('frames_asked'), 0)
  const tenths = await open('/tenths', 'tenths-below="3600000"')
  await tenths.until('texts.length >= 5')
  const { frames, texts } = await tenths.run('({ frames: frames_asked, texts })')
  assert.ok(frames > texts.length, `${frames} frames for ${texts.length} texts`)
  assert.equal(new Set(texts).size, texts.length)
  await tenths.run(`Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => 'hidden' });
    document.dispatchEvent(new Event('visibilitychange'))`)
  const before = await tenths.run('({ frames: frames_asked, texts: texts.length })')
  await seconds.until(`texts.length >= ${await seconds.run('texts.length')} + 1`)
  assert.deepEqual(await tenths.run('({ frames: frames_asked, texts: texts.length })'), before)
})

test('the element draws a clock, in tenths by frames, and stops when it is taken out', async () => {
  const session = await playing()
  const page = site.page('/element', `import '@synckairos/client/element'`,
    `<synckairos-clock url="${server.url}" session-id="${session.id}" participant="${A}" tenths-below="3600000"></synckairos-clock>`)
  const tab = await browser.open(page, COUNT)
  const text = await tab.until(`document.querySelector('synckairos-clock').textContent`)
  assert.match(text, /^0:5\d\.\d$/)
  assert.equal(await tab.run(`document.querySelector('synckairos-clock').getAttribute('role')`), 'timer')
  await tab.until(`document.querySelector('synckairos-clock').textContent !== ${JSON.stringify(text)}`)
  await tab.run(`document.querySelector('synckairos-clock').setAttribute('participant', '${B}')`)
  await tab.until(`document.querySelector('synckairos-clock').textContent === '1:00.0'`)
  await tab.run(`window.out = document.querySelector('synckairos-clock'); out.setAttribute('participant', '${A}'); out.remove()`)
  const [last, asked] = await tab.run('[out.textContent, frames_asked]')
  await tab.run('new Promise(resolve => ask(() => ask(() => ask(resolve))))')
  assert.deepEqual(await tab.run('[out.textContent, frames_asked]'), [last, asked])
  await tab.run('document.body.append(out)')
  await tab.until(`/^0:5\\d\\.\\d$/.test(out.textContent) && out.textContent !== ${JSON.stringify(last)}`)
  assert.deepEqual(browser.errors, [])
})
