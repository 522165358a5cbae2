// Photos handed over by ferce/evaluation/peers.py, and the answer in its form.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const [, , manifest, folder, option] = process.argv
const { photos } = JSON.parse(readFileSync(manifest, 'utf8'))

/** A choice of the peer's, for instance its detector. */
export const choice = option

/** Require a package installed in the folder named on the command line. */
export const load = createRequire(join(folder, 'package.json'))

/** Path of a file of an installed package. */
export const installed = (...parts) => join(folder, 'node_modules', ...parts)

/** Give TensorFlow.js its WASM backend, from files of the installed package. */
export async function wasm() {
  const tf = load('@tensorflow/tfjs')
  load('@tensorflow/tfjs-backend-wasm').setWasmPaths(installed('@tensorflow/tfjs-backend-wasm', 'dist/'))
  await tf.setBackend('wasm')
  await tf.ready()
  return tf
}

/** Time `read` (tensor -> labels of the faces) on every photo, after one that is not timed. */
export async function measure(tf, version, read) {
  const tensors = photos.map(({ file, height, width }) =>
    tf.tensor3d(new Int32Array(readFileSync(file)), [height, width, 3], 'int32'))
  await read(tensors[0])
  const milliseconds = [], labels = []
  for (const tensor of tensors) {
    const start = performance.now()
    labels.push(await read(tensor))
    milliseconds.push(performance.now() - start)
  }
  console.log(JSON.stringify({ version, milliseconds, labels }))
  process.exit(0)
}

/** The key of the largest value. */
export const top = (scores) => Object.entries(scores).sort((a, b) => b[1] - a[1])[0][0]
