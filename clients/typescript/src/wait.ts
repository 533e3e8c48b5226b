// Waiting until something that changes is as it should be. Does not know what changes.

import type { Env } from './env.ts'

/**
 * Looks at every change, and first of all; ends with what `test` finds, with what it throws, or with the signal.
 * After the time that it may take it ends with nothing.
 */
export function waitFor<T>(
  subscribe: (listener: () => void) => () => void, test: () => T | undefined, signal?: AbortSignal,
  within?: { env: Env; timeoutMs: number },
): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    let release: (() => void) | undefined
    let isOver = false
    const end = () => {
      isOver = true
      within?.env.clearTimeout(timer)
      release?.()
      signal?.removeEventListener('abort', look)
    }
    const look = () => {
      if (isOver) return
      try {
        signal?.throwIfAborted()
        const found = test()
        if (found === undefined) return
        end()
        resolve(found)
      } catch (error) {
        end()
        reject(error)
      }
    }
    const timer = within?.env.setTimeout(() => {
      end()
      resolve(undefined)
    }, within.timeoutMs)
    signal?.addEventListener('abort', look)
    // Listening alone may change something.
    release = subscribe(look)
    look()
    if (isOver) release()
  })
}
