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

  // Prints the report beside the button, in a frame of its own.
  document.addEventListener('click', async (event) => {
    const button = event.target.closest?.('[data-print]');
    if (!button) return;
    const link = button.parentElement.querySelector('[download$=".html"]');
    const frame = document.createElement('iframe');
    frame.className = 'aloud';
    frame.setAttribute('aria-hidden', 'true');
    frame.srcdoc = await (await fetch(link.href)).text();
    frame.addEventListener('load', () => {
      frame.contentWindow.addEventListener('afterprint', () => frame.remove());
      frame.contentWindow.print();
    });
    document.body.append(frame);
  });

  // A row that was pressed opens below the table, maybe out of sight.
  document.addEventListener('click', (event) => {
    const row = event.target.closest?.('.part-results [data-index]')?.dataset.index;
    if (row === undefined) return;
    const find = (left) => {
      const opened = document.querySelector(`.opened[data-row="${row}"]`);
      if (opened) opened.focus();
      else if (left) setTimeout(find, 100, left - 1);
    };
    find(100);
  });

  // Links to a tab, and arrow keys from tab to tab; what does not fit stands in a menu.
  const TABS = '.tab-wrapper [role=tab], .overflow-dropdown button';
  const tabs = () => [...document.querySelectorAll(TABS)];
  document.addEventListener('click', (event) => {
    const link = event.target.closest?.('[data-tab]');
    if (!link) return;
    event.preventDefault();
    tabs().find((tab) => tab.textContent.trim() === link.dataset.tab)?.click();
    scrollTo(0, 0);
  });
  document.addEventListener('keydown', (event) => {
    const all = tabs();
    const at = all.indexOf(event.target);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const next = all[(to + all.length) % all.length];
    next.click();
    next.focus();
  });

  // A click on a photo, or on the sign for uploads, asks for another one; Gradio only clears it.
  const ANOTHER = '.photo .image-frame img, .photo [aria-label="Upload file"]';
  const another = (event) => {
    const field = event.target.closest?.(ANOTHER)?.closest('.photo');
    if (!field?.querySelector('.image-frame img')) return;
    event.stopImmediatePropagation();
    field.querySelector('input[type=file]').click();
  };
  document.addEventListener('click', another, true);

  // What is no picture is refused at once, as the field itself would drop it in silence.
  const PHOTO = /^image\/|\.(heic|heif|avif)$/i;
  const refuse = (event, files) => {
    const field = event.target.closest?.('.photo');
    const odd = [...(files ?? [])].find((file) => !PHOTO.test(file.type) && !PHOTO.test(file.name));
    if (!field || !odd) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const line = field.closest('.source').querySelector('.status');
    line.className = 'status sorry';
    line.textContent = `${odd.name} is no photo; choose a JPEG, PNG, WebP, HEIC or other picture.`;
    if (event.type === 'change') event.target.value = '';
  };
  document.addEventListener('change', (event) => refuse(event, event.target.files), true);
  document.addEventListener('drop', (event) => refuse(event, event.dataTransfer?.files), true);

  // One region that stays tells screen readers what is new: panels are replaced whole, and what
  // comes with its own region is often not read.
  const NEWS = '.status, .headline, .trouble';
  const region = document.createElement('div');
  region.className = 'aloud';
  region.setAttribute('role', 'status');
  let heard = new Set();
  let soon;
  const listen = () => {
    if (!region.isConnected) document.querySelector('.gradio-container')?.append(region);
    const seen = [...document.querySelectorAll(NEWS)]
      .filter((node) => node.offsetParent && !node.closest('.progress, .live, .columns'))
      .map((node) => node.innerText.trim().replace(/\s+/g, ' '));
    const fresh = [...new Set(seen)].filter((words) => words && !heard.has(words));
    heard = new Set(seen);
    reach();
    if (fresh.length) region.textContent = fresh.join('. ');
  };

  // What scrolls by itself must be reached by the keyboard.
  const reach = () => {
    for (const box of document.querySelectorAll('.card table, .notes pre')) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    }
  };
  document.addEventListener('toggle', reach, true);

  document.addEventListener('input', (event) => {
    if (!event.target.matches?.('[data-opacity]')) return;
    document.documentElement.style.setProperty('--heat-opacity', event.target.value / 100);
  });
  // A new panel brings a new slider; it takes over where the old one stood.
  new MutationObserver(() => {
    clearTimeout(soon);
    soon = setTimeout(listen, 200);
    const chosen = document.documentElement.style.getPropertyValue('--heat-opacity');
    const slider = document.querySelector('[data-opacity]:not([data-set])');
    if (!slider) return;
    slider.dataset.set = '';
    if (chosen) slider.value = chosen * 100;
  }).observe(document.documentElement, { childList: true, subtree: true });
})();
