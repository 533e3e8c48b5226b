// `<synckairos-clock session-id="…">`: a clock in plain HTML, Vue, Svelte or a scene of OBS. Draws text and nothing
// else; what it looks like is the page's.

import { createClient } from '@synckairos/client'
import type { Client, Session } from '@synckairos/client'
import { draw } from './draw.ts'
import type { Style } from './format.ts'

const NAME = 'synckairos-clock'
const ATTRIBUTES = ['url', 'session-id', 'participant', 'tenths-below', 'no-hours', 'days']

/** One client for each URL, for all elements of the page. */
const clients = new Map<string, Client>()

function clientOf(url: string): Client {
  const client = clients.get(url) ?? createClient(url)
  clients.set(url, client)
  return client
}

// A server that renders pages has no elements.
const Base: typeof HTMLElement = globalThis.HTMLElement ?? class {}

export class SyncKairosClock extends Base {
  static observedAttributes: string[] = ATTRIBUTES
  #session: Session | undefined
  #end: (() => void) | undefined

  /** The session that it shows: given here, or named by `session-id` and `url`. */
  get session(): Session | undefined {
    const id = this.getAttribute('session-id')
    return this.#session ?? (id ? clientOf(this.getAttribute('url') ?? '').session(id) : undefined)
  }

  set session(session: Session | undefined) {
    this.#session = session
    this.#draw()
  }

  connectedCallback(): void {
    if (!this.hasAttribute('role')) this.setAttribute('role', 'timer')
    this.#draw()
  }

  disconnectedCallback(): void {
    this.#end?.()
    this.#end = undefined
  }

  attributeChangedCallback(): void {
    if (this.#end) this.#draw()
  }

  #draw(): void {
    this.disconnectedCallback()
    const session = this.isConnected ? this.session : undefined
    if (!session) return
    const style: Style = { hours: !this.hasAttribute('no-hours'), days: this.hasAttribute('days') }
    style.tenthsBelowMs = Number(this.getAttribute('tenths-below')) || 0
    const participant = this.getAttribute('participant') || undefined
    this.#end = draw(session, participant, style, text => { this.textContent = text })
  }
}

if (globalThis.customElements && !customElements.get(NAME)) customElements.define(NAME, SyncKairosClock)
