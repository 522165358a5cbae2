// The cursor of the lanes: it follows the pointer, the slider and the clip as it plays; a click and
// a moment's number take the clip there. The lanes are replaced whole, so listeners sit above them.
const clip = () => document.querySelector('.clip video');
const clock = (seconds) => {
  const tenths = Math.floor(seconds * 10 + 1e-6);
  return `${Math.floor(tenths / 600)}:${((tenths % 600) / 10).toFixed(1).padStart(4, '0')}`;
};

const show = (seconds) => {
  const lanes = element.querySelector('.lanes');
  if (!lanes) return;
  const length = Number(lanes.dataset.length);
  const at = Math.min(Math.max(seconds, 0), length);
  lanes.style.setProperty('--at', at / length);
  lanes.querySelector('#seek').value = at;
  lanes.querySelector('#seek').setAttribute('aria-valuetext', clock(at));
  lanes.querySelector('output').textContent = clock(at);
  const times = JSON.parse(lanes.dataset.seconds);
  let near = 0;
  times.forEach((time, i) => {
    if (Math.abs(time - at) < Math.abs(times[near] - at)) near = i;
  });
  const told = Math.abs(times[near] - at) < 0.6;
  for (const value of lanes.querySelectorAll('[data-values]')) {
    value.textContent = told ? `${JSON.parse(value.dataset.values)[near]}\u2009%` : '–';
  }
};

const go = (seconds) => {
  if (clip()) clip().currentTime = seconds;
  show(seconds);
};

const pointed = (event) => {
  const plot = event.target.closest?.('.lane-plot');
  if (!plot || plot.closest('.time')) return undefined;
  const { left, width } = plot.getBoundingClientRect();
  const length = Number(plot.closest('.lanes').dataset.length);
  return ((event.clientX - left) / width) * length;
};

element.addEventListener('pointermove', (event) => {
  const seconds = pointed(event);
  if (seconds !== undefined && event.pointerType === 'mouse') show(seconds);
});
element.addEventListener('click', (event) => {
  const seconds = pointed(event);
  if (seconds !== undefined && !event.target.closest('[data-go]')) go(seconds);
});
element.addEventListener('input', (event) => {
  if (event.target.id === 'seek') go(Number(event.target.value));
});
document.addEventListener('click', (event) => {
  const mark = event.target.closest?.('[data-go]');
  if (mark) go(Number(mark.dataset.go));
});
// `timeupdate` does not bubble, but it can be caught on its way down.
document.addEventListener('timeupdate', (event) => {
  if (event.target === clip()) show(event.target.currentTime);
}, true);
