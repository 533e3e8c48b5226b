// Who listens, and what happens when a listener throws: nothing, to the others. Does not know what is told.

export class Emitter<E> {
  #listeners = new Map<keyof E, Set<(...args: never[]) => void>>()
  #report: (error: unknown) => void

  constructor(report: (error: unknown) => void) {
    this.#report = report
  }

  add<K extends keyof E>(name: K, listener: E[K] & ((...args: never[]) => void)): () => void {
    const all = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, all)
    // The same function may listen twice.
    const own = (...args: never[]) => listener(...args)
    all.add(own)
    return () => void all.delete(own)
  }

  emit<K extends keyof E>(name: K, ...args: E[K] extends (...args: infer A) => void ? A : never): void {
    for (const listener of [...this.#listeners.get(name) ?? []]) {
      this.guard(() => (listener as (...args: unknown[]) => void)(...args))
    }
  }

  guard(f: () => void): void {
    try {
      f()
    } catch (error) {
      this.#report(error)
    }
  }
}
