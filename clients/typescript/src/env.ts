// What the platform gives: clocks, timers, chance, and whether somebody looks at the page. Nothing is asked at import.

/** What happens to a page: it is hidden, seen again, or wakes from something that may have been sleep. */
export type PageEvent = 'hidden' | 'shown' | 'woken'

/** The page, where there is one. */
export interface Page {
  isHidden(): boolean
  listen(listener: (event: PageEvent) => void): () => void
}

/** Everything that a client asks of the machine but the network: tests give their own. */
export interface Env {
  /** Milliseconds that only grow, such as `performance.now()`. */
  mono(): number
  /** Milliseconds since 1970, by a clock that anybody can set. */
  wall(): number
  /** From 0 to 1. */
  random(): number
  setTimeout(f: () => void, ms: number): unknown
  clearTimeout(timer: unknown): void
  page?: Page
}

export function platform(): Env {
  const env: Env = {
    mono: () => performance.now(),
    wall: () => Date.now(),
    random: () => Math.random(),
    setTimeout: (f, ms) => setTimeout(f, ms),
    clearTimeout: timer => clearTimeout(timer as number),
  }
  if (typeof document !== 'undefined') env.page = browserPage()
  return env
}

function browserPage(): Page {
  return {
    isHidden: () => document.visibilityState === 'hidden',
    listen: listener => {
      const visibility = () => listener(document.visibilityState === 'hidden' ? 'hidden' : 'shown')
      const woken = () => listener('woken')
      const off = [
        listen(document, 'visibilitychange', visibility), listen(document, 'resume', woken),
        listen(globalThis, 'pageshow', woken), listen(globalThis, 'online', woken),
      ]
      return () => off.forEach(end => end())
    },
  }
}

function listen(target: EventTarget, name: string, f: () => void): () => void {
  target.addEventListener(name, f)
  return () => target.removeEventListener(name, f)
}

/** A UUID of version 4, in pages without TLS too, where `randomUUID` is missing. */
export function uuid(): string {
  if (crypto.randomUUID) return crypto.randomUUID()
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  bytes[6] = (bytes[6]! & 15) | 64
  bytes[8] = (bytes[8]! & 63) | 128
  const hex = Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
