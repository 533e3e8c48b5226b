// The hooks, with React 18 and 19, in Chromium and on a server that renders: one connection, no loops, no text on a
// server.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { after, before, test } from 'node:test'
import { until } from './kit/env.js'
import { Chromium } from './kit/chromium.js'
import { A, B, ID, Peer, game } from './kit/peer.js'
import { Site, bundle } from './kit/site.js'

/** A component that uses all hooks, and counts how often it was rendered. */
const APP = `
  import { StrictMode, useState } from 'react'
  import { createClient } from '@synckairos/client'
  import { SyncKairosProvider, useClock, useCommand, useRemaining, useSession } from '@synckairos/client/react'

  export const renders = { session: 0, clock: 0, remaining: 0 }
  const ID = '${ID}'
  function Status() {
    renders.session++
    const { state, phase } = useSession(ID)
    return <p id="status">{phase} {state?.version ?? 'none'}</p>
  }
  function Remaining() {
    renders.remaining++
    return <p id="remaining">{String(useRemaining(ID, '${A}'))}</p>
  }
  function Clock() {
    renders.clock++
    return <p id="clock" ref={useClock(ID, '${A}', { tenthsBelowMs: 3_600_000 })} />
  }
  function Press() {
    const { run, isPending, error } = useCommand(ID)
    const press = () => run(session => session.switch({ retry: 'never' }))
    return <button id="press" onClick={press}>{isPending ? 'pending' : String(error?.code)}</button>
  }
  export function App({ url }) {
    const [isShown, show] = useState(true)
    const [client] = useState(() => createClient({ url, lingerMs: 100, onError: error => { throw error } }))
    globalThis.show = show
    return <StrictMode><SyncKairosProvider client={client}>
      {isShown && <><Status /><Remaining /><Clock /><Press /></>}
    </SyncKairosProvider></StrictMode>
  }
`

let site: Site
let browser: Chromium
before(async () => {
  site = await Site.start()
  browser = await Chromium.start()
})
after(async () => {
  site.stop()
  await browser.stop()
})

for (const version of [18, 19] as const) {
  test(`rule 11: with React ${version} in StrictMode there is one connection, which ends when nothing needs it`, async () => {
    const peer = await Peer.start()
    const script = await bundle(`${APP}
      import { createRoot } from 'react-dom/client'
      globalThis.renders = renders
      createRoot(document.getElementById('root')).render(<App url="${peer.url}" />)
    `, version, 'browser')
    site.files.set(`/app${version}.js`, script)
    site.files.set(`/${version}`, `<!doctype html><link rel="icon" href="data:,"><div id="root"></div>
      <script src="/app${version}.js"></script>`)
    const tab = await browser.open(site.url + '/' + version)
    const guest = await peer.guest()
    guest.welcome(game(1))
    await tab.until(`document.getElementById('status').textContent === 'connected 1'`)
    const text = await tab.until(`document.getElementById('clock').textContent`)
    assert.match(text, /^0:5\d\.\d$/)
    const renders = await tab.run('({ ...renders })')
    await tab.until(`document.getElementById('clock').textContent !== ${JSON.stringify(text)}`)
    assert.equal(await tab.run('renders.clock'), renders.clock, 'the clock is written, and not rendered')
    assert.equal(await tab.run('renders.session'), renders.session)
    assert.match(await tab.run(`document.getElementById('remaining').textContent`), /^5\d000$/)
    // A command: pending, then its error.
    await tab.run(`document.getElementById('press').click()`)
    await tab.until(`document.getElementById('press').textContent === 'pending'`)
    const pressed = await guest.hears('SWITCH')
    assert.equal(pressed['current_participant_id'], A)
    const error = { code: 'CONFLICT', message: 'no' }
    guest.send({ type: 'RESULT', request_id: pressed['request_id'], status: 409, server_time_ms: 0, error })
    await tab.until(`document.getElementById('press').textContent === 'CONFLICT'`)
    guest.update(game(2, { active_participant_id: B }))
    await tab.until(`document.getElementById('status').textContent === 'connected 2'`)
    assert.equal(peer.guests.length, 1)
    await tab.run('show(false)')
    await until('closed', () => guest.closed !== undefined)
    await tab.run('show(true)')
    ;(await peer.guest(2)).welcome(game(3))
    await tab.until(`document.getElementById('status').textContent === 'connected 3'`)
    assert.deepEqual(browser.errors, [])
    peer.stop()
  })

  test(`rule 14: with React ${version} a server renders clocks without a value, and opens nothing`, async () => {
    const peer = await Peer.start()
    const script = await bundle(`${APP}
      import { renderToString } from 'react-dom/server'
      process.stdout.write(renderToString(<App url="${peer.url}" />))
    `, version, 'node')
    const run = spawnSync(process.execPath, ['-'], { input: script, encoding: 'utf8' })
    assert.equal(run.stderr, '')
    assert.match(run.stdout, /<p id="status">idle<!-- --> <!-- -->none<\/p><p id="remaining">undefined<\/p><p id="clock"><\/p>/)
    assert.deepEqual([peer.guests.length, peer.requests.length], [0, 0])
    peer.stop()
  })
}
