// A number of milliseconds as text, and when that text changes. Rounds up: 0:00 is shown at zero and not before.

export interface Style {
  /** Below this, tenths are shown; by default never. */
  tenthsBelowMs?: number
  /** Whether an hour is shown as one (1:00:00), and not as 60 minutes; by default it is. */
  hours?: boolean
  /** Whether a day is shown as one (1d 0:00:00); by default not. */
  days?: boolean
}

/** As a clock shows it. */
export function format(ms: number, style: Style = {}): string {
  const left = Math.max(0, ms)
  const tenths = Math.ceil(left / 100)
  const hasTenths = left > 0 && left < (style.tenthsBelowMs ?? 0)
  const seconds = hasTenths ? Math.floor(tenths / 10) : Math.ceil(left / 1000)
  const two = (part: number) => String(part).padStart(2, '0')
  let text = two(seconds % 60) + (hasTenths ? '.' + tenths % 10 : '')
  let minutes = Math.floor(seconds / 60)
  let hours = Math.floor(minutes / 60)
  if ((style.hours ?? true) && hours > 0) {
    const days = style.days ? Math.floor(hours / 24) : 0
    hours -= days * 24
    minutes %= 60
    text = hours + ':' + two(minutes) + ':' + text
    return days > 0 ? days + 'd ' + text : text
  }
  return minutes + ':' + text
}

/** In how many milliseconds of a running clock its text changes; infinite at zero. */
export function nextChange(ms: number, style: Style = {}): number {
  if (ms <= 0) return Infinity
  const below = style.tenthsBelowMs ?? 0
  const step = ms < below ? 100 : 1000
  const change = ms - (Math.ceil(ms / step) - 1) * step
  return ms < below ? change : Math.min(change, ms - below + 1)
}

/** In words, for a screen reader: "1 minute, 5 seconds". */
export function spoken(ms: number, locale?: string): string {
  const seconds = Math.ceil(Math.max(0, ms) / 1000)
  const parts = [
    [Math.floor(seconds / 3600), 'hour'], [Math.floor(seconds / 60) % 60, 'minute'], [seconds % 60, 'second'],
  ] as const
  const told = parts.filter(([count, unit]) => count > 0 || (unit === 'second' && seconds === 0))
  const words = told.map(([count, unit]) =>
    new Intl.NumberFormat(locale, { style: 'unit', unit, unitDisplay: 'long' }).format(count))
  return new Intl.ListFormat(locale, { type: 'unit', style: 'long' }).format(words)
}
