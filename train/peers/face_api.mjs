// face-api: SSD MobileNet or, with `tiny`, its small detector finds faces, 68 landmarks align them,
// seven expressions.
import { choice, installed, load, measure, top, wasm } from './photos.mjs'

const tf = await wasm()
const faceapi = load('@vladmandic/face-api/dist/face-api.node-wasm.js')
const models = installed('@vladmandic/face-api', 'model')
const tiny = choice === 'tiny'
const detector = tiny ? 'tinyFaceDetector' : 'ssdMobilenetv1'
const options = tiny ? new faceapi.TinyFaceDetectorOptions() : new faceapi.SsdMobilenetv1Options()
for (const net of [detector, 'faceLandmark68Net', 'faceExpressionNet']) {
  await faceapi.nets[net].loadFromDisk(models)
}

await measure(tf, faceapi.version, async (tensor) => {
  const faces = await faceapi.detectAllFaces(tensor, options).withFaceLandmarks().withFaceExpressions()
  return faces.map(({ expressions }) => top(expressions))
})
