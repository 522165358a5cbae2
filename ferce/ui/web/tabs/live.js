// The camera: frames go to the server, where one is read while the next comes; numbers come back
// and are drawn over the picture, which itself never waits. The picture is shown as in a mirror, but
// sent as it is, so that left and right stay the person's.
const WIDTH = 640; // pixels of a frame that is sent
const LEAST = 50; // milliseconds between two frames, so at most 20 a second
const UNDERWAY = 2; // frames that are sent before the first of them is answered
const part = (name) => element.querySelector(`[data-part="${name}"]`);
const button = (act) => element.querySelector(`[data-act="${act}"]`);
const video = () => element.querySelector('video');
let camera, stream, on = false, run = 0, last = '', times = [], due = 0, taken = 0, shown = 0;

const say = (words, kind = '') => {
  part('status').textContent = words;
  part('status').className = `status ${kind}`;
};
const rest = (ms) => new Promise((done) => setTimeout(done, ms));

// ---- drawing ----
const trace = (context, { points, closed }, width, height) => {
  context.beginPath();
  points.forEach(([x, y], i) => {
    context[i ? 'lineTo' : 'moveTo']((x / 1000) * width, (y / 1000) * height);
  });
  if (closed) context.closePath();
};

const overlay = (faces) => {
  const canvas = element.querySelector('canvas');
  const { clientWidth: width, clientHeight: height } = video();
  const dense = devicePixelRatio || 1;
  canvas.width = width * dense;
  canvas.height = height * dense;
  const context = canvas.getContext('2d');
  context.scale(dense, dense);
  context.lineJoin = 'round';
  faces.forEach((face, i) => {
    for (const line of face.lines) {
      const lit = i === 0 && line.region && face.lit?.includes(line.region);
      trace(context, line, width, height);
      context.strokeStyle = 'rgb(0 0 0 / 0.55)';
      context.lineWidth = lit ? 4.5 : 2.5;
      context.stroke();
      context.strokeStyle = face.problem ? '#c4cad0' : lit ? '#ffc46b' : 'rgb(255 255 255 / 0.85)';
      context.lineWidth = lit ? 2.5 : 1;
      context.stroke();
    }
  });
};

const row = (key, percent, name) => {
  const line = element.querySelector(`[data-row="${key}"]`);
  if (!line) return;
  line.querySelector('.bar-track span').style.width = `${percent ?? 0}%`;
  line.querySelector('.bar-value').textContent = percent === undefined ? '–' : `${percent}\u2009%`;
  if (name !== undefined) line.querySelector('.bar-name').textContent = name;
};

const clear = () => {
  for (const line of element.querySelectorAll('[data-row]')) {
    line.classList.remove('lead');
    row(line.dataset.row, undefined, line.dataset.row.startsWith('outcome') ? '–' : undefined);
  }
  part('headline').textContent = '–';
  part('chip').textContent = 'No face';
  part('reason').textContent = '\u00a0';
};

const numbers = (faces) => {
  const face = faces[0];
  if (!face || !face.components) {
    clear();
    if (face?.problem) {
      part('chip').textContent = 'Not read';
      part('reason').textContent = face.problem;
    }
    return;
  }
  part('chip').textContent = face.chip;
  part('chip').className = `chip ${face.state}`;
  part('headline').textContent = face.headline;
  const others = faces.length - 1;
  part('reason').textContent = others
    ? `The largest of ${faces.length} faces.`
    : '\u00a0';
  face.components.forEach(([name, percent]) => row(name, percent));
  face.outcomes.forEach(([name, percent], i) => row(`outcome-${i}`, percent, name));
  face.units.forEach(([code, , percent, active]) => {
    row(code, percent);
    element.querySelector(`[data-row="${code}"]`)?.classList.toggle('lead', active);
  });
};

const pace = (ms) => {
  const now = performance.now();
  times = [...times.filter((time) => now - time < 2000), now];
  const rate = times.length > 1 ? ((times.length - 1) * 1000) / (now - times[0]) : 0;
  part('pace').textContent = `${rate.toFixed(0)} frames a second · ${ms.toFixed(0)} ms each`;
};

// ---- the loop ----
const sheet = document.createElement('canvas');
const shot = () => {
  const { videoWidth, videoHeight } = video();
  const scale = Math.min(WIDTH / Math.max(videoWidth, videoHeight), 1);
  sheet.width = Math.round(videoWidth * scale);
  sheet.height = Math.round(videoHeight * scale);
  sheet.getContext('2d').drawImage(video(), 0, 0, sheet.width, sheet.height);
  return sheet.toDataURL('image/jpeg', 0.85);
};
const seen = () => !document.hidden && element.offsetParent !== null;

// Milliseconds until the next frame is due, which is then taken.
const gap = () => {
  const now = performance.now();
  const start = Math.max(due, now);
  due = start + LEAST;
  return start - now;
};

const show = (told, image, number) => {
  if (number < shown) return; // a later one was answered before
  shown = number;
  last = image;
  say(told.faces.length ? 'Reading.' : 'No face is in the picture.');
  overlay(told.faces);
  numbers(told.faces);
  pace(told.ms);
  button('explain').disabled = !told.faces.length;
};

const loop = async (mine) => {
  while (mine === run) {
    await rest(gap());
    if (mine !== run) return;
    if (!element.offsetParent) return halt('The camera was stopped, as you went to another tab.');
    if (!seen() || !video().videoWidth) continue;
    const image = shot();
    const number = (taken += 1);
    const told = await server.frame({ stream, image }).catch(() => undefined);
    if (mine !== run) return;
    if (!told || told.ended) return halt(told?.problem ?? 'The server does not answer.', 'sorry');
    if (told.problem) {
      say(told.problem, 'sorry');
      await rest(500);
    } else {
      show(told, image, number);
    }
  }
};

const halt = (words = 'The camera is off.', kind = '') => {
  run += 1;
  on = false;
  camera?.getTracks().forEach((track) => track.stop());
  if (stream) server.stop(stream).catch(() => {});
  camera = stream = undefined;
  times = [];
  video().srcObject = null;
  element.querySelector('.stage').classList.remove('on');
  overlay([]);
  clear();
  part('pace').textContent = '\u00a0';
  button('start').textContent = 'Start the camera';
  button('explain').disabled = true;
  say(words, kind);
};

const WHY = {
  NotAllowedError: 'The browser does not let this page use the camera; allow it and start again.',
  NotFoundError: 'No camera was found; connect one and start again.',
  NotReadableError: 'Another program uses the camera; close it and start again.',
};

const start = async () => {
  if (!navigator.mediaDevices?.getUserMedia) {
    return say('Browsers give the camera only to pages over https or on localhost.', 'sorry');
  }
  const mine = (run += 1);
  on = true;
  button('start').textContent = 'Stop the camera';
  say('Waiting for the camera.', 'busy');
  try {
    const wanted = { facingMode: 'user', width: { ideal: 1280 }, height: { ideal: 720 } };
    const got = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
    if (mine !== run) return got.getTracks().forEach((track) => track.stop());
    camera = got;
    video().srcObject = got;
    await video().play();
    element.querySelector('.stage').classList.add('on');
    say('Waiting for the models.', 'busy');
    trigger('click', {});
  } catch (error) {
    if (mine === run) halt(WHY[error.name] ?? `The camera cannot be used (${error.name}).`, 'sorry');
  }
};

// The server's note on the stream stands in a hidden component beside this one.
new MutationObserver(() => {
  const note = document.querySelector('.live-stream [hidden]');
  if (!note || note.dataset.heard) return;
  note.dataset.heard = '1';
  if (note.dataset.wait) return say(note.dataset.wait, 'busy');
  if (note.dataset.problem) return halt(note.dataset.problem, 'sorry');
  if (!camera) return server.stop(note.dataset.stream).catch(() => {});
  stream = note.dataset.stream;
  for (let i = 0; i < UNDERWAY; i += 1) loop(run);
}).observe(document.body, { childList: true, subtree: true, attributes: false });

element.addEventListener('click', (event) => {
  const act = event.target.closest('[data-act]')?.dataset.act;
  if (act === 'start') on ? halt() : start();
  if (act !== 'explain' || !last) return;
  trigger('submit', { image: last });
  // What comes stands below the camera, on a phone far below.
  setTimeout(() => {
    document.querySelector('.live-moment')?.scrollIntoView({ behavior: 'smooth' });
  }, 400);
});
