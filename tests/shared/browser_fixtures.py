"""Chromium for the tests of the page: patient, and with questions to ask of what it shows."""

import shutil
from contextlib import contextmanager
from pathlib import Path

from patience import PATIENCE

CHROMIUM = shutil.which("chromium")
SHOTS = Path(__file__).parents[1] / "screenshots"
MILLISECONDS = 1000 * PATIENCE

# Text whose contrast with its ground is under 4.5:1 (WCAG 2.2, 1.4.3 AA), as "ratio: words".
FAINT = """() => {
  const parse = (css) => (css.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map((v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const [r, g, b, a = 1] = parse(getComputedStyle(node).backgroundColor);
      if (a > 0.99) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const words = walker.currentNode.textContent.trim(), node = walker.currentNode.parentElement;
    if (!words || !node.checkVisibility({opacityProperty: true})) continue;
    const [front, back] = [light(parse(getComputedStyle(node).color)), light(ground(node))];
    const ratio = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
    if (ratio < 4.5) faint.push(`${ratio.toFixed(2)}: ${words.slice(0, 40)}`);
  }
  return faint;
}"""
SHIFTS = """() => {
  window.shifts = 0;
  new PerformanceObserver((list) => list.getEntries().forEach((e) => (window.shifts += e.value)))
    .observe({type: 'layout-shift', buffered: false});
}"""

# What moves now has come to rest, fonts and pictures are there, and two frames were drawn.
_SETTLED = """async () => {
  const ends = (one) => one.effect.getComputedTiming().endTime !== Infinity;
  const moving = document.getAnimations().filter((one) => one.playState === 'running' && ends(one));
  await Promise.allSettled(moving.map((one) => one.finished));
  await document.fonts.ready;
  const pictures = [...document.images].filter((one) => one.loading !== 'lazy');
  await Promise.allSettled(pictures.map((one) => one.decode()));
  for (let i = 0; i < 2; i += 1) await new Promise((done) => requestAnimationFrame(done));
}"""


@contextmanager
def chromium(*flags):
    """A browser until the block ends; its pages and `expect` wait as long as it takes."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=MILLISECONDS)
    with sync_playwright() as play:
        opened = play.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", *flags], timeout=MILLISECONDS
        )
        yield opened
        opened.close()


def new_page(browser, width, height):
    """A page of a user of its own."""
    context = browser.new_context(viewport={"width": width, "height": height})
    context.set_default_timeout(MILLISECONDS)
    return context.new_page()


def settled(page):
    """The page once nothing on it moves."""
    page.evaluate(_SETTLED)
    return page
