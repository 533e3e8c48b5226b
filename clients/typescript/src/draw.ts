// Writes a clock's text whenever it changes, and no more often: each frame while tenths show, else by one timer, and
// not at all while nobody looks. Does not know where the text goes.

import { format, nextChange } from './format.ts'
import type { Style } from './format.ts'

/** What is drawn: a session's handle has all of this. */
export interface Drawable {
  readonly state: { status: string } | undefined
  remaining(participantId?: string): number | undefined
  subscribe(listener: () => void): () => void
}

/** Draws until the answer is called. The text is empty while nothing is known. */
export function draw(
  session: Drawable, participantId: string | undefined, style: Style, write: (text: string) => void,
): () => void {
  let last: string | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let frame: number | undefined
  const look = () => {
    clearTimeout(timer)
    if (frame !== undefined) cancelAnimationFrame(frame)
    frame = timer = undefined
    const left = session.remaining(participantId)
    const text = left === undefined ? '' : format(left, style)
    if (text !== last) write(last = text)
    if (!left || session.state?.status !== 'running' || document.visibilityState === 'hidden') return
    if (left <= (style.tenthsBelowMs ?? 0)) frame = requestAnimationFrame(look)
    else timer = setTimeout(look, Math.min(nextChange(left, style) + 1, 60_000))
  }
  const end = session.subscribe(look)
  document.addEventListener('visibilitychange', look)
  look()
  return () => {
    end()
    document.removeEventListener('visibilitychange', look)
    clearTimeout(timer)
    if (frame !== undefined) cancelAnimationFrame(frame)
  }
}
