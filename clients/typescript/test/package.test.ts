// The package as it is published: what is in it, how much it weighs, what it needs, and that it works in a blank
// folder.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import type { Plugin } from 'esbuild'

const home = fileURLToPath(new URL('..', import.meta.url))
const own = JSON.parse(readFileSync(home + 'package.json', 'utf8'))
let folder: string
let tarball: string

function run(command: string, args: string[], cwd: string = home): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' })
  assert.equal(status, 0, `${command} ${args.join(' ')}\n${stdout}\n${stderr}`)
  return stdout
}

before(() => {
  folder = mkdtempSync(tmpdir() + '/synckairos-')
  // It is built already; another build would take the tests' own files away under them.
  const [packed] = JSON.parse(run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]))
  tarball = folder + '/' + packed.filename
})
after(() => rmSync(folder, { recursive: true }))

/** Leaves out what every page has already that has the package's other entries. */
function without(...files: string[]): Plugin {
  return {
    name: 'without',
    setup: setup => setup.onResolve({ filter: /^\./ }, ({ path, kind }) =>
      kind !== 'entry-point' && files.includes(path) ? { path, external: true } : undefined),
  }
}

// What each entry adds, in bytes, minified and gzipped.
for (const [entry, most, parts] of [
  ['index', 9_000, []], ['clock', 2_000, []], ['react', 1_024, ['./format.js']], ['element', 900, ['./format.js']],
] as [string, number, string[]][]) {
  test(`${entry} is at most ${most} bytes`, async () => {
    const { outputFiles } = await build({
      entryPoints: [home + `dist/${entry}.js`], bundle: true, minify: true, format: 'esm', target: 'es2022', write: false,
      external: ['react', '@synckairos/client'], plugins: [without(...parts)], legalComments: 'none',
    })
    const size = gzipSync(outputFiles[0]!.contents, { level: 9 }).length
    assert.ok(size <= most, `${size} bytes`)
    assert.ok(size > most * 0.8, `${size} bytes: lower the budget`)
  })
}

test('it needs nothing at run time, and says what React it wants', () => {
  assert.equal(own.dependencies, undefined)
  assert.deepEqual([own.peerDependencies, own.peerDependenciesMeta.react.optional], [{ react: '>=18' }, true])
  for (const file of readdirSync(home + 'dist').filter(name => name.endsWith('.js'))) {
    const code = readFileSync(home + 'dist/' + file, 'utf8')
    const foreign = [...code.matchAll(/from ["']([^."'][^"']*)["']/g)].map(([, name]) => name)
    const allowed = file === 'react.js' ? ['react'] : file === 'element.js' ? ['@synckairos/client'] : []
    assert.deepEqual(foreign.filter(name => !allowed.includes(name!)), [], file)
  }
})

test('it has the version of the server', () => {
  const [, version] = /^version = "(.*)"/m.exec(readFileSync(home + '../../Cargo.toml', 'utf8'))!
  assert.equal(own.version, version)
})

test('publint and attw find nothing wrong', () => {
  assert.match(run('npx', ['publint', 'run', tarball, '--strict']), /All good/)
  run('npx', ['attw', tarball, '--profile', 'esm-only'])
})

test('it works in a blank folder: in Node, and for who compiles with it', () => {
  const blank = folder + '/blank'
  mkdirSync(blank)
  writeFileSync(blank + '/package.json', '{"private":true,"type":"module"}')
  run('npm', ['install', '--offline', '--ignore-scripts', '--no-audit', '--no-fund', '--omit=peer', tarball], blank)
  writeFileSync(blank + '/use.ts', `
    import { createClient, SyncKairosError } from '@synckairos/client'
    import type { Session } from '@synckairos/client'
    import { format, remaining } from '@synckairos/client/clock'
    import '@synckairos/client/element'
    const session: Session = createClient('http://127.0.0.1:1').session('550e8400-e29b-41d4-a716-446655440000')
    const left: number | undefined = session.remaining()
    if (left !== undefined || format(61_000) !== '1:01' || !(new SyncKairosError('A', 'b') instanceof Error)) throw new Error('no')
    export const told: typeof remaining = remaining
  `)
  const options = ['--target', 'es2022', '--module', 'nodenext', '--strict', '--types', '', '--outDir', '.']
  run(home + 'node_modules/.bin/tsc', [...options, 'use.ts'], blank)
  run(process.execPath, ['use.js'], blank)
})
