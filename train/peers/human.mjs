// human: BlazeFace finds faces, its mesh aligns them, seven emotions; everything else is off.
// Its build for WASM reads models by fetch, which knows no file: addresses, so a server hands them out.
import { createReadStream } from 'node:fs'
import { createServer } from 'node:http'
import { basename } from 'node:path'

import { installed, load, measure, wasm } from './photos.mjs'

const models = (name) => installed('@vladmandic/human', 'models', basename(name))
const server = createServer((request, answer) => createReadStream(models(request.url)).pipe(answer))
await new Promise((ready) => server.listen(0, '127.0.0.1', ready))

const off = { enabled: false }
const tf = await wasm()
const { Human } = load(installed('@vladmandic/human', 'dist/human.node-wasm.js'))
const human = new Human({
  backend: 'wasm',
  cacheSensitivity: 0, // every photo is read afresh
  debug: false,
  modelBasePath: `http://127.0.0.1:${server.address().port}/`,
  wasmPath: installed('@tensorflow/tfjs-backend-wasm', 'dist/'),
  body: off, filter: off, gesture: off, hand: off, object: off, segmentation: off,
  face: {
    antispoof: off, description: off, iris: off, liveness: off,
    detector: { maxDetected: 20, rotation: true },
    emotion: { enabled: true },
    mesh: { enabled: true },
  },
})
await human.load()

await measure(tf, human.version, async (tensor) => {
  const { face } = await human.detect(tensor)
  return face.map(({ emotion }) => (emotion?.length ? emotion[0].emotion : ''))
})
