"""What a visitor may see: pages of which nothing runs, and refusals of one sentence."""

from html.parser import HTMLParser


def sentence(text):
    """One sentence for a visitor: short, no trace, no control characters."""
    assert text
    assert "Traceback" not in text
    assert "\n" not in text.strip(), text[:300]
    assert len(text) < 2000, text[:300]


class Tags(HTMLParser):
    """Refuses what a browser would run or fetch."""

    def handle_starttag(self, tag, attrs):
        assert tag not in ("script", "iframe", "object", "embed", "base"), tag
        for name, value in attrs:
            assert not name.startswith("on"), (tag, name)
            assert name not in ("action", "formaction", "srcdoc"), (tag, name)
            assert name not in ("href", "src") or "javascript:" not in (value or ""), (tag, name)
            assert "alert(7)" not in name, (tag, name)


def harmless(html):
    """Assert that nothing of `html` runs."""
    parser = Tags()
    parser.feed(html)
    parser.close()
