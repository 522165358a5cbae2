// Links between the panels that need no server: a region lights up wherever it is named, and the
// slider sets how much of the heat is seen. Listeners sit on the document, so they outlive the
// panels, which are replaced whole.
(() => {
  const light = (region) => {
    for (const shape of document.querySelectorAll('[data-outline]')) {
      shape.classList.toggle('lit', shape.dataset.outline === region);
    }
  };
  const regionOf = (event) => event.target.closest?.('[data-region]')?.dataset.region;
  const follow = (event) => light(regionOf(event));
  for (const kind of ['mouseover', 'focusin', 'click']) document.addEventListener(kind, follow);
  document.addEventListener('focusout', () => light(undefined));

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
