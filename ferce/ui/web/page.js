// Links between the panels that need no server: a region lights up wherever it is named, a claim
// shows what its check rests on, and the slider sets how much of the heat is seen. Listeners sit on
// the document, so they outlive the panels, which are replaced whole.
(() => {
  const NAMED = '[data-region], .cue[tabindex]';
  let peek;

  const light = (region) => {
    for (const shape of document.querySelectorAll('[data-outline]')) {
      shape.classList.toggle('lit', shape.dataset.outline === region);
    }
  };
  // Where the picture is out of sight, a small copy of it stands in the corner.
  // What is looked for lies in the same tab: several may hold a face, and claims of one name.
  const home = (named) => named?.closest('.tabitem') ?? document;
  const look = (named) => {
    peek?.remove();
    peek = undefined;
    const region = named?.dataset.region;
    const face = home(named).querySelector('figure.face:has([data-outline])');
    if (!region || !face?.querySelector(`[data-outline="${region}"]`)) return;
    const { top, bottom, height } = face.getBoundingClientRect();
    if (Math.min(bottom, innerHeight) - Math.max(top, 0) > height / 2) return;
    peek = document.createElement('div');
    peek.className = 'peek';
    peek.setAttribute('aria-hidden', 'true');
    peek.append(face.cloneNode(true));
    (document.querySelector('.gradio-container') ?? document.body).append(peek);
  };
  const tell = (cue) => {
    const evidence = home(cue).querySelector(`[id="${cue.getAttribute('aria-describedby')}"]`);
    if (!evidence) return;
    for (const other of evidence.parentElement.children) {
      other.classList.toggle('told', other === evidence);
    }
  };
  const show = (named) => {
    look(named);
    light(named?.dataset.region);
    if (named?.matches('.cue')) tell(named);
  };
  const under = (event) => event.target.closest?.(NAMED);
  // What is pointed at comes first; then what has the focus, so a click or a tap stays.
  const focused = () => document.activeElement?.closest?.(NAMED);
  let last;
  const follow = (event) => {
    const named = under(event) ?? focused();
    if (named === last && event.type === 'mouseover') return;
    last = named;
    show(named);
  };
  for (const kind of ['mouseover', 'focusin', 'click']) document.addEventListener(kind, follow);
  document.addEventListener('focusout', () => show((last = undefined)));
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && focused()) document.activeElement.blur();
  });

  // Copies the text beside the button.
  document.addEventListener('click', async (event) => {
    const button = event.target.closest?.('[data-copy]');
    if (!button) return;
    await navigator.clipboard.writeText(button.parentElement.querySelector('code').textContent);
    button.textContent = 'Copied';
    setTimeout(() => (button.textContent = 'Copy'), 2000);
  });

  document.addEventListener('input', (event) => {
    if (!event.target.matches?.('[data-opacity]')) return;
    document.documentElement.style.setProperty('--heat-opacity', event.target.value / 100);
  });
  // A new panel brings a new slider; it takes over where the old one stood.
  new MutationObserver(() => {
    const chosen = document.documentElement.style.getPropertyValue('--heat-opacity');
    const slider = document.querySelector('[data-opacity]:not([data-set])');
    if (!slider) return;
    slider.dataset.set = '';
    if (chosen) slider.value = chosen * 100;
  }).observe(document.documentElement, { childList: true, subtree: true });
})();
