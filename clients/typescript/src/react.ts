// Hooks for React 18 and 19: a session as a component shows it. A connection stands while something mounted needs it.

import { createContext, createElement, useContext, useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react'
import type { FunctionComponentElement, ProviderProps, ReactNode, RefObject } from 'react'
import type { Client, Session, Snapshot } from '@synckairos/client'
import { draw } from './draw.ts'
import type { Style } from './format.ts'

const Context: React.Context<Client | undefined> = createContext<Client | undefined>(undefined)

/** Gives a client to all that is below. */
export function SyncKairosProvider(
  { client, children }: { client: Client; children?: ReactNode },
): FunctionComponentElement<ProviderProps<Client | undefined>> {
  return createElement(Context.Provider, { value: client }, children)
}

/** The handle of a session, by its id or as it is. */
export function useHandle(session: string | Session): Session {
  const client = useContext(Context)
  return useMemo(() => {
    if (typeof session !== 'string') return session
    if (!client) throw new Error('A session is named by its id: give the client to <SyncKairosProvider>')
    return client.session(session)
  }, [client, session])
}

/** What is known of a session; renders again at every change. */
export function useSession(session: string | Session): Snapshot {
  const handle = useHandle(session)
  const get = () => handle.snapshot
  return useSyncExternalStore(handle.subscribe, get, get)
}

/** What a clock has left, rounded up to steps; renders again at every step. */
export function useRemaining(
  session: string | Session, participantId?: string, { stepMs = 1000 }: { stepMs?: number } = {},
): number | undefined {
  const handle = useHandle(session)
  const get = () => {
    const left = handle.remaining(participantId)
    return left === undefined ? undefined : Math.ceil(left / stepMs) * stepMs
  }
  const subscribe = useMemo(() => (listener: () => void) => {
    let timer: ReturnType<typeof setTimeout> | undefined
    const arm = () => {
      clearTimeout(timer)
      const left = handle.remaining(participantId)
      if (!left || handle.state?.status !== 'running') return
      timer = setTimeout(() => { listener(); arm() }, left - (Math.ceil(left / stepMs) - 1) * stepMs + 1)
    }
    const end = handle.subscribe(() => { listener(); arm() })
    arm()
    return () => { end(); clearTimeout(timer) }
  }, [handle, participantId, stepMs])
  return useSyncExternalStore(subscribe, get, get)
}

/** A place for a clock's text, which is written without rendering anything. */
export function useClock<E extends Element>(
  session: string | Session, participantId?: string, style: Style = {},
): RefObject<E | null> {
  const handle = useHandle(session)
  const ref = useRef<E>(null)
  const { tenthsBelowMs = 0, hours = true, days = false } = style
  useEffect(() => draw(handle, participantId, { tenthsBelowMs, hours, days }, text => {
    if (ref.current) ref.current.textContent = text
  }), [handle, participantId, tenthsBelowMs, hours, days])
  return ref
}

/** A command that a component gives: `run(session => session.switch())`. */
export interface CommandState {
  run<T>(command: (session: Session) => Promise<T>): Promise<T | undefined>
  isPending: boolean
  error: unknown
}

/** Commands of a session; errors are shown rather than thrown. */
export function useCommand(session: string | Session): CommandState {
  const handle = useHandle(session)
  const [state, set] = useState<{ pending: number; error: unknown }>({ pending: 0, error: undefined })
  return useMemo(() => ({
    isPending: state.pending > 0,
    error: state.error,
    run: async command => {
      set(now => ({ pending: now.pending + 1, error: undefined }))
      let error: unknown
      try {
        return await command(handle)
      } catch (thrown) {
        error = thrown
        return undefined
      } finally {
        set(now => ({ pending: now.pending - 1, error: error ?? now.error }))
      }
    },
  }), [handle, state])
}
