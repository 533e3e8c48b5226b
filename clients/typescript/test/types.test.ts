// The types are what openapi.json says: every member, whether it must be there, every word of an enum, and every
// message.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

interface Schema {
  $ref?: string
  type?: string
  const?: string | number | boolean
  enum?: (string | number)[]
  oneOf?: Schema[]
  items?: Schema
  properties?: Record<string, Schema>
  required?: string[]
}

const home = fileURLToPath(new URL('..', import.meta.url))
const { components } = JSON.parse(readFileSync(new URL('../../../src/http/openapi.json', import.meta.url), 'utf8'))
const schemas: Record<string, Schema> = components.schemas

/** Schemas and the types that stand for them. */
const HELD: Record<string, string> = {
  SyncMode: 'SyncMode', Status: 'Status', OnTimeout: 'OnTimeout', NewSession: 'NewSession', NewParticipant: 'NewParticipant',
  Settings: 'Settings', State: 'SessionState', Participant: 'Participant', SwitchResult: 'SwitchResult', Change: 'Change',
  ConnectedMessage: 'ConnectedMessage', TokenMessage: 'TokenMessage', StateMessage: 'StateMessage',
  SessionDeletedMessage: 'SessionDeletedMessage', TimeWarningMessage: 'TimeWarningMessage',
  TimeExpiredMessage: 'TimeExpiredMessage', PongMessage: 'PongMessage', ResultMessage: 'ResultMessage',
  ErrorMessage: 'ErrorMessage', Clock: 'ControlClock', TimeControl: 'TimeControl',
}

/** Members that the types tell otherwise, on purpose: an id that is made, and words that more may be added to. */
const OTHERWISE: Record<string, string[]> = { NewSession: ['session_id'], ErrorMessage: ['code'] }

/** A schema as a type. */
function typed(schema: Schema): string {
  if (schema.$ref) return typed(schemas[schema.$ref.split('/').at(-1)!]!)
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.enum) return schema.enum.map(word => JSON.stringify(word)).join(' | ')
  if (schema.oneOf) return schema.oneOf.map(typed).join(' | ')
  if (schema.type === 'array') return `(${typed(schema.items ?? {})})[]`
  if (schema.type === 'integer') return 'number'
  if (schema.type === 'object' || schema.properties) return schema.properties ? members(schema) : 'Record<string, unknown>'
  return schema.type ?? 'unknown'
}

function members(schema: Schema, without: string[] = []): string {
  const kept = Object.entries(schema.properties ?? {}).filter(([name]) => !without.includes(name))
  return '{ ' + kept.map(([name, type]) => {
    const isRequired = schema.required?.includes(name)
    return `${name}${isRequired ? '' : '?'}: ${typed(type)}`
  }).join('; ') + ' }'
}

test('types hold every member, requiredness and word of openapi.json', () => {
  const lines = ["import type * as own from '@synckairos/client'", "import type { ErrorBody } from '../dist/types.js'"]
  // Both ways: each can stand where the other is asked for.
  lines.push('type Same<A, B> = [A] extends [B] ? [B] extends [A] ? true : { has: A } : { lacks: B }')
  for (const [name, type] of Object.entries(HELD)) {
    const schema = schemas[name]
    assert.ok(schema, `openapi.json has no ${name} any more`)
    if (!schema.properties) {
      lines.push(`({}) as Same<own.${type}, ${typed(schema)}> satisfies true`)
      continue
    }
    const apart = OTHERWISE[type] ?? []
    const names = Object.keys(schema.properties).filter(member => !apart.includes(member))
    const keys = names.map(member => JSON.stringify(member)).join(' | ')
    const omitted = apart.map(member => JSON.stringify(member)).join(' | ') || 'never'
    lines.push(`({}) as Same<keyof Omit<own.${type}, ${omitted}>, ${keys}> satisfies true`)
    for (const member of names) {
      const isRequired = schema.required?.includes(member) ?? false
      const asked = `{} extends Pick<own.${type}, '${member}'> ? false : true`
      lines.push(`({}) as Same<${asked}, ${isRequired}> satisfies true // ${type}.${member}`)
    }
    // Members that are simple are compared as they are; those that hold others have a line of their own.
    for (const member of names.filter(member => isSimple(schema.properties![member]!))) {
      const has = `Exclude<own.${type}['${member}'], undefined>`
      lines.push(`({}) as Same<${has}, ${typed(schema.properties[member]!)}> satisfies true // ${type}.${member}`)
    }
  }
  lines.push('({}) as ErrorBody satisfies { code: string; message: string }')
  const folder = mkdtempSync(home + 'build/types-')
  writeFileSync(folder + '/held.ts', lines.join('\n').replace('../dist', '../../dist'))
  writeFileSync(folder + '/tsconfig.json', JSON.stringify({
    extends: '../../tsconfig.json',
    compilerOptions: { rootDir: '../..', noEmit: true, declaration: false, declarationMap: false, isolatedDeclarations: false },
    include: ['held.ts'],
  }))
  const run = spawnSync('npx', ['tsc', '-p', folder], { cwd: home, encoding: 'utf8' })
  rmSync(folder, { recursive: true })
  assert.equal(run.stdout, '')
  assert.ok(lines.length > 200, `only ${lines.length} lines were compared`)
})

function isSimple(schema: Schema): boolean {
  if (schema.$ref) return isSimple(schemas[schema.$ref.split('/').at(-1)!]!)
  if (schema.oneOf) return schema.oneOf.every(isSimple)
  return schema.type !== 'array' && schema.type !== 'object' && !schema.properties
}

test('every message of the server is one that the client knows', () => {
  const source = readFileSync(home + 'src/session.ts', 'utf8') + readFileSync(home + 'src/link.ts', 'utf8')
  const messages = schemas['ServerMessage']!.oneOf!.map(one => schemas[one.$ref!.split('/').at(-1)!]!)
  const types = messages.flatMap(one => one.properties!['type']!.enum ?? [one.properties!['type']!.const])
  assert.ok(types.length > 10)
  for (const type of types) assert.ok(source.includes(`'${type}'`), `${type} is not known`)
})
