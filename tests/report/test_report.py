import csv
import io
import json
import math
import re
import shutil
from contextlib import ExitStack
from dataclasses import replace
from html.parser import HTMLParser

import jsonschema
import pytest
import report_fixtures as known
from hypothesis import given
from hypothesis import strategies as st

from ferce import report
from ferce.core import notice
from ferce.core.labels import BASICS, COMPOUNDS
from ferce.core.parts import Cue, Explanation, Report
from ferce.core.types import Quality
from ferce.facs.action_units import UNITS
from ferce.report.face import escape, face_section, marked
from ferce.report.files import opened, problem
from ferce.report.page import HtmlWriter
from ferce.report.table import COLUMNS, DESCRIPTIONS, CsvWriter, rows
from ferce.report.text import TextWriter, headline, plain, to_text
from ferce.ui.command import entries, sink

MODELS = {"detector": "mediapipe", "classifier": "prototypes", "voice": "measured"}
TOO_SMALL = "The face is 20 pixels wide; at least 48 are needed."
EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)>&amp;\x00\u202e.jpg'


def every_kind():
    """A full reading, a bare one, two faces, and a photo that could not be read."""
    return [
        known.report(),
        known.report("bare.jpg", readings=(known.bare(TOO_SMALL),), size=None, seconds=None),
        known.report("two.jpg", readings=(known.reading(), known.reading(1))),
        known.failed(),
    ]


def write(name, reports, target):
    """Write reports in a format, as the command line does."""
    with ExitStack() as stack:
        writer = sink(name, stack.enter_context(opened(target)), MODELS)
        if name == "html":
            stack.enter_context(writer)
        for one in reports:
            writer.put(entries(one, [name])[name])
        writer.finish()


# ---- JSON ----


def check(result):
    jsonschema.Draft202012Validator(report.json_schema()).validate(result)


def test_schema_is_itself_a_schema_and_describes_every_key():
    schema = report.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)

    def undescribed(node, path=""):
        for name, value in node.get("properties", {}).items():
            if "description" not in value and "$ref" not in value:
                yield f"{path}/{name}"
            yield from undescribed(value, f"{path}/{name}")
            yield from undescribed(value.get("items", {}), f"{path}/{name}[]")

    nodes = [schema, *schema["$defs"].values()]
    assert [path for node in nodes for path in undescribed(node)] == []


def test_json_of_every_kind_obeys_the_schema():
    check(report.to_json(every_kind(), MODELS))
    check(report.to_json([], {}))


def test_json_has_exactly_the_keys_of_schema_2():
    result = report.to_json([known.report(), known.failed()], MODELS)
    assert list(result) == ["schema", "photos", "models", "notice"]
    photo, failed = result["photos"]
    assert list(photo) == ["photo", "size", "seconds", "faces", "note"]
    assert failed == {
        "photo": "broken.jpg",
        "error": "broken.jpg is empty; export or copy it again.",
    }
    (face,) = photo["faces"]
    assert set(face) == {
        *("box", "state", "reason", "quality", "prediction", "action_units", "heatmap"),
        *("answers", "explanation", "faithfulness"),
    }
    assert list(face["prediction"]) == ["label", "outcomes", "compounds", "set", "components"]
    assert list(face["heatmap"]) == ["method", "label", "regions"]
    assert list(face["explanation"]) == ["text", "composed", "cues", "revised"]
    assert face["answers"] == [{"question": "Is the mouth open?", "answer": "Yes."}]


def test_json_holds_the_known_values():
    photo = report.photo_to_json(known.report())
    assert photo["size"] == [640, 480]
    assert photo["seconds"] == 0.0625
    (face,) = photo["faces"]
    assert face["box"] == [100, 80, 300, 320]
    assert face["state"] == "compound"
    assert face["prediction"]["outcomes"]["happily surprised"] == 0.72
    for name in ("outcomes", "compounds"):
        assert math.isclose(sum(face["prediction"][name].values()), 1, abs_tol=1e-5)
    units = {row["unit"]: row for row in face["action_units"]}
    assert list(units) == list(UNITS)
    assert (units[12]["left"], units[12]["right"], units[12]["active"]) == (0.95, 0.85, True)
    assert (units[9]["confidence"], units[9]["active"], units[9]["left"]) == (0, False, None)
    assert face["faithfulness"]["measures"] == {"auroc": 0.83, "lift": 2.4, "deletion": None}


def test_a_turned_head_is_said_in_every_form(tmp_path):
    (reading,) = known.report().readings
    quality = Quality(200, 0.05, 50, 0, 0)
    turned = replace(reading, face=reading.face.replace(quality=quality))
    made = known.report(readings=(turned,))
    words = "turned 50 degrees: the far side is guessed"
    assert words in report.photo_to_json(made)["faces"][0]["quality"]["caution"]
    check(report.to_json([made], MODELS))
    assert words in to_text(made)
    write("html", [made], tmp_path / "out.html")
    assert words in (tmp_path / "out.html").read_text("utf-8")


def test_a_bare_reading_keeps_every_key_with_null():
    (face,) = report.photo_to_json(known.report(readings=(known.bare(TOO_SMALL),)))["faces"]
    full = report.photo_to_json(known.report())["faces"][0]
    assert set(face) == set(full)
    assert face["state"] == "unclear"
    assert face["reason"] == TOO_SMALL
    nulls = {name for name, value in face.items() if value is None}
    assert nulls == {"quality", "prediction", "heatmap", "explanation", "faithfulness"}
    assert face["action_units"] == face["answers"] == []


@pytest.mark.parametrize("count", [0, 1, 4])
def test_streamed_json_equals_the_object(tmp_path, count):
    reports = every_kind()[:count]
    write("json", iter(reports), tmp_path / "out.json")
    text = (tmp_path / "out.json").read_text("utf-8")
    assert json.loads(text) == report.to_json(reports, MODELS)
    assert text.endswith("}\n")


def test_json_never_writes_nan(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write("json", [known.report(seconds=math.nan)], tmp_path / "out.json")
    assert list(tmp_path.iterdir()) == []


# ---- files ----


def test_an_exception_leaves_the_old_file_and_no_rest(tmp_path):
    target = tmp_path / "out.txt"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), opened(target) as file:
        file.write(f"new {1 // 0}")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_link_stays_a_link_and_a_device_is_written_straight(tmp_path):
    real, link = tmp_path / "real.txt", tmp_path / "link.txt"
    real.write_text("old")
    link.symlink_to(real)
    with opened(link) as file:
        file.write("new")
    assert link.is_symlink()
    assert real.read_text() == "new"
    with opened("/dev/null") as file:
        file.write("gone")


def test_odd_bytes_of_a_file_name_survive_in_json(tmp_path):
    name = "bad\udcff.jpg"  # the byte 0xff, as os.fsdecode gives it
    write("json", [Report(name, error="x")], tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text("utf-8"))["photos"][0]["photo"] == name
    write("csv", [Report(name, error="x")], tmp_path / "out.csv")
    write("html", [Report(name, error="x")], tmp_path / "out.html")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("-", None),  # standard output
        ("new.json", None),
        ("", "is a folder"),
        ("no/such/out.json", "folder that does not exist"),
    ],
)
def test_problem_of_a_target(tmp_path, name, words):
    found = problem(name if name == "-" else tmp_path / name)
    assert found is None if words is None else words in found


# ---- CSV ----


def table(reports):
    file = io.StringIO(newline="")
    writer = CsvWriter(file)
    for each in reports:
        writer.add(each)
    writer.finish()
    return list(csv.DictReader(io.StringIO(file.getvalue(), newline="")))


def test_csv_columns_are_stable_and_described():
    assert COLUMNS[:7] == ("photo", "error", "width", "height", "seconds", "face", "faces")
    assert len(COLUMNS) == len(set(COLUMNS))
    assert {f"p_{name.replace(' ', '_')}" for name in COMPOUNDS} <= set(COLUMNS)
    assert {f"component_{name}" for name in BASICS} <= set(COLUMNS)
    assert {f"au{number}" for number in UNITS} <= set(COLUMNS)
    assert all(DESCRIPTIONS.values())


def test_csv_has_one_row_a_face_and_one_a_failed_photo():
    rows = table(every_kind())
    assert [row["photo"] for row in rows] == [
        *("photo.jpg", "bare.jpg", "two.jpg", "two.jpg", "broken.jpg")
    ]
    assert [row["face"] for row in rows] == ["1", "1", "1", "2", ""]
    full, bare, *_, failed = rows
    assert full["p_happily_surprised"] == "0.72"
    assert (full["au12"], full["au9_confidence"], full["heat_mouth"]) == ("0.9", "0.0", "0.55")
    assert [full[f"claims_{word}"] for word in ("supported", "contradicted", "not_used")] == [
        *("2", "1", "1")
    ]
    assert json.loads(full["answers"]) == [{"question": "Is the mouth open?", "answer": "Yes."}]
    assert {name for name, cell in bare.items() if cell} == {
        *("photo", "face", "faces", "x0", "y0", "x1", "y1", "state", "reason")
    }
    assert {name for name, cell in failed.items() if cell} == {"photo", "error"}


@pytest.mark.parametrize(
    "name", ['=HYPERLINK("http://x")', "+1", "-1", "@a", "\t=1", "＝1", "\n=1"]
)
def test_csv_disarms_formulas(name):
    assert table([Report(name, error="x")])[0]["photo"] == "'" + name


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\0")))
def test_csv_reads_back_any_text(text):
    (row,) = table([Report("p", error=text or "x")])
    assert row["error"].removeprefix("'") == (text or "x").removeprefix("'")


# ---- text ----


@pytest.mark.parametrize(
    ("label", "state", "sentence"),
    [
        ("sadly angry", "compound", "The expression resembles sadly angry."),
        ("happy", "basic", "The expression resembles happiness, with no clear second emotion."),
        ("neutral", "neutral", "The face looks neutral: no expression stands out."),
        (None, "unclear", "Unclear. Two emotions lead clearly."),
    ],
)
def test_headline(label, state, sentence):
    assert headline(known.reading(prediction=known.prediction(label, state=state))) == sentence


def test_headline_of_a_face_that_must_not_be_read():
    assert headline(known.bare(TOO_SMALL)) == f"Unclear. {TOO_SMALL}"


def test_text_of_a_photo_says_all_parts():
    text = to_text(known.report())
    for part in (
        "photo.jpg (640 x 480 pixels, 0.06 s)",
        "happily surprised 72%",
        "AU12 lip corner puller 0.90",
        "Looks at (occlusion, for happily surprised): mouth 55%, brows 20%, cheeks 10%",
        "Is the mouth open? Yes.",
        "[claims: 2 supported, 1 contradicted, 1 cannot be told]",
    ):
        assert part in text
    empty = to_text(known.report(readings=(known.reading(heatmap=known.heatmap(empty=True)),)))
    assert "no positive evidence" in empty


def test_text_writer_ends_with_the_notice_and_skips_failures():
    file = io.StringIO()
    writer = TextWriter(file)
    for each in (known.failed(), known.report()):
        writer.add(each)
    writer.finish()
    assert "broken" not in file.getvalue()
    assert file.getvalue().endswith(notice.SHORT + "\n")


@given(st.text())
def test_plain_text_cannot_steer_a_terminal(text):
    assert plain(text).isprintable()


def test_the_wording_never_claims_feelings():
    text = "\n".join(to_text(each) for each in every_kind())
    assert not re.search(r"\b(feels?|feeling|is (happy|sad|angry|surprised|afraid))\b", text)


# ---- the page ----


class Page(HTMLParser):
    """Tags with attributes, text, and a check that tags close in order."""

    void = ("meta", "img", "link", "br", "rect")

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self._open = [], "", []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.void:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def page(reports, **options):
    file = io.StringIO()
    with HtmlWriter(file, MODELS, **options) as writer:
        for each in reports:
            writer.add(each)
        writer.finish()
    return file.getvalue()


def test_page_is_well_formed_and_asks_nobody():
    text = page(every_kind())
    found = Page(text)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in found.tags}
    assert all(a["src"].startswith("data:image/jpeg;base64,") for a in found.all("img"))
    assert all(a["alt"] for a in found.all("img"))
    assert all(a["href"].startswith("#") for a in found.all("a"))
    assert "url(" not in text
    assert "default-src 'none'" in text
    assert "@import" not in text


def test_page_links_lead_to_its_photos():
    found = Page(page(every_kind()))
    ids = {a["id"] for _, a in found.tags if "id" in a}
    assert {a["href"][1:] for a in found.all("a")} <= ids
    assert {f"photo-{i}" for i in range(1, 5)} <= ids


def test_page_says_what_was_read():
    found = Page(page(every_kind()))
    for part in (
        *("Expressions in 4 photos", "4 faces; 1 photo could not be read", TOO_SMALL),
        *("Not read: broken.jpg is empty", "0.031 raw maximum", "Is the mouth open?"),
        *("prototypes", *notice.POINTS, notice.SHORT),
    ):
        assert part in found.text


def test_page_of_an_empty_map_says_so():
    found = Page(page([known.report(readings=(known.reading(heatmap=known.heatmap(True)),))]))
    assert "no positive evidence" in found.text
    assert "raw maximum" not in found.text


def test_page_escapes_everything():
    cue = Cue(EVIL, 0, len(EVIL), None, None, evidence=EVIL)
    hostile = known.reading(
        answers=(type(known.reading().answers[0])(EVIL, EVIL, EVIL),),
        explanation=Explanation(EVIL, EVIL, (cue,)),
    )
    text = page([known.report(EVIL, readings=(hostile, hostile)), Report(EVIL, error=EVIL)])
    found = Page(text)
    assert not found.all("script")
    assert "\x00" not in text
    assert all("onerror" not in attributes for _, attributes in found.tags)
    assert found.text.count("<script>alert(1)</script>") >= 8


def test_pictures_stop_at_the_limit_and_the_page_says_so():
    reports = [known.report(f"{i}.jpg") for i in range(5)]
    found = Page(page(reports, max_pictures=2))
    assert len(found.all("img")) == 2 * 2
    assert "3 faces shown without pictures" in found.text


@given(st.text())
def test_escape_leaves_no_markup(text):
    assert not set("<>\"'") & set(escape(text))


def test_what_turns_the_writing_direction_is_shown_as_unknown():
    for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A)):
        assert escape(f"photo{chr(code)}gpj.exe") == "photo\ufffdgpj.exe"
    assert escape("תמונה \u200f.jpg") == "תמונה \u200f.jpg"


def test_stars_around_a_label_become_emphasis():
    html = marked(Explanation("It resembles *happily <sad>*, 2 * 3.", "known"))
    assert html == "It resembles <em>happily &lt;sad&gt;</em>, 2 * 3."


def test_marked_text_is_the_text():
    html = marked(known.explanation())
    assert re.sub(r"<sup>\d</sup>|<[^>]+>", "", html) == known.TEXT
    assert html.count("<mark") == 4


def test_marks_that_overlap_or_leave_the_text_are_skipped():
    spans = [(0, 5), (3, 8), (6, 9), (8, 99), (4, 4)]
    cues = tuple(Cue("x", start, end, 12, "mouth") for start, end in spans)
    html = marked(Explanation("0123456789", "known", cues))
    assert re.findall(r"<mark[^>]*>(\d+)<sup>(\d)", html) == [("01234", "1"), ("678", "3")]


# ---- in a browser ----

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_page_in_a_browser(tmp_path, width, scheme):
    """Nothing is asked of the network, nothing complains, nothing sticks out at the side."""
    playwright = pytest.importorskip("playwright.sync_api")
    target = tmp_path / "page.html"
    write("html", [*every_kind(), known.report(EVIL + "x" * 200)], target)
    asked, said = [], []
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        view = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        view.on("request", lambda request: asked.append(request.url))
        view.on("console", lambda message: said.append(message.text))
        view.on("pageerror", lambda error: said.append(str(error)))
        view.goto(target.as_uri())
        wide = view.evaluate("document.documentElement.scrollWidth")
        drawn = view.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
        ground = view.evaluate("getComputedStyle(document.body).backgroundColor")
        pages = view.pdf(format="A4").count(b"/Type /Page\n")
        browser.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert wide <= width
    assert drawn
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
    assert pages >= 5


def test_what_is_composed_from_the_measurement_is_not_checked_by_it():
    cues = (known.cue("the mouth smiles", 12, "mouth", used="used"),)
    made = Explanation(known.TEXT, "measured", cues, composed=True)
    shown = known.report(readings=(known.reading(explanation=made),))
    document = report.to_json([shown], MODELS)
    check(document)
    told = document["photos"][0]["faces"][0]["explanation"]
    assert (told["composed"], told["cues"][0]["seen"]) == (True, None)
    assert "[composed from the measurement, which cannot check it]" in to_text(shown)
    (row,) = rows(shown)
    assert "claims_supported" not in row
    assert row["claims_used"] == 1
    _, _, html = face_section(shown.readings[0], None, draw=False)
    assert "these cannot check it" in html
    assert "supported" not in html
