"""The Batch tab without a browser: piles of files, partial results, what can be taken away."""

import base64
import csv
import io
import json
import re
import zipfile

import gradio as gr
import jsonschema
import pytest
from app_fixtures import SquareReader, label_of, loader, scene
from app_server import connect
from patience import PATIENCE
from PIL import Image

from ferce.core.parts import Report
from ferce.report import json_schema
from ferce.report.table import COLUMNS
from ferce.ui.web import components, markup
from ferce.ui.web.models import Models
from ferce.ui.web.panels import batch as panel
from ferce.ui.web.runner import run
from ferce.ui.web.session import Session
from ferce.ui.web.tabs import batch as tab
from ferce.ui.web.tabs.batch import ReadBatch


def png(*levels):
    buffer = io.BytesIO()
    Image.fromarray(scene(*levels)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def mixed(tmp_path):
    """A photo, and a ZIP with a photo of two faces, a broken one and a text."""
    photo, packed = tmp_path / "one.png", tmp_path / "more.zip"
    photo.write_bytes(png(10))
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("sea/two.png", png(100, 200))
        file.writestr("sea/broken.jpg", b"\xff\xd8\xff no photo")
        file.writestr("sea/notes.txt", b"hello")
    return photo, packed


def models_of(reader):
    models = Models(loader(reader))
    models.start()
    assert models.wait(PATIENCE)
    return models


def batch(reader, paths, most=100, session=None):
    session = session or Session(models_of(reader))
    session.models, session.files = models_of(reader), tuple(paths)
    return list(run(ReadBatch(most), session, session.take("batch")))


def last(steps, part):
    return [step[part] for step in steps if part in step][-1]


def saved(steps):
    """Suffix -> content of the files behind the links."""
    links = re.findall(
        r'download="ferce-batch\.(\w+)" href="data:[^;]+;base64,([^"]+)"', last(steps, "files")
    )
    return {suffix: base64.b64decode(data).decode() for suffix, data in links}


def test_every_face_gets_a_row_and_every_failure_a_reason(mixed):
    steps = batch(SquareReader(), mixed)
    table = last(steps, "results")
    assert table.count("<tr><td") == 3
    for level in (10, 100, 200):
        assert label_of(level) in table
    assert "2 files not read" in table
    assert "notes.txt is no photo by its suffix" in table
    assert "broken.jpg" in table
    assert last(steps, "status").count("4 photos in") == 1
    assert "2 of them not read" in last(steps, "status")


def test_results_are_taken_away_in_three_forms(mixed):
    files = saved(batch(SquareReader(), mixed))
    document = json.loads(files["json"])
    jsonschema.validate(document, json_schema())
    names = ["one.png", "more/sea/two.png", "more/sea/broken.jpg", "more/sea/notes.txt"]
    assert [photo["photo"] for photo in document["photos"]] == names
    rows = list(csv.DictReader(io.StringIO(files["csv"])))
    assert tuple(rows[0]) == COLUMNS
    assert [row["label"] for row in rows] == [label_of(10), label_of(100), label_of(200), "", ""]
    assert files["html"].count("data:image/jpeg") == 2 * 3  # face and heat map of each
    assert "http" not in re.sub(r'"data:[^"]*"', "", files["html"]).replace("http-equiv", "")


def test_a_fault_costs_one_photo(mixed, caplog):
    class Faulty(SquareReader):
        def read(self, source, name=None, options=None):
            if name == "one.png":
                raise ZeroDivisionError("secret path /home")
            return super().read(source, name, options)

    steps = batch(Faulty(), mixed)
    assert tab.FAULT.split(";")[0] in last(steps, "results")
    assert "secret" not in json.dumps(steps)
    assert "secret" in caplog.text
    assert len(json.loads(saved(steps)["json"])["photos"]) == 4


def test_a_row_opens_its_reading_and_a_failed_photo_keeps_its_name(mixed):
    class Odd(SquareReader):
        def read(self, source, name=None, options=None):
            if name == "one.png":
                raise ZeroDivisionError
            return super().read(source, name, options)

    session = Session(models_of(Odd()))
    *_, done = batch(Odd(), mixed, session=session)
    assert f"<strong>one.png</strong> {markup.text(tab.FAULT)}" in done["results"]
    assert done["results"].count("data-index") == len(session.details) == 2
    opened = tab.open_row(session, 1)["opened"]
    assert "two.png face 2 of 2" in opened
    assert label_of(200) in opened
    assert opened.count("<figure") == 1


def test_stopping_keeps_what_is_there(mixed):
    session = Session(models_of(SquareReader()))

    class Stopped(SquareReader):
        def read(self, source, name=None, options=None):
            session.halt("batch")
            return super().read(source, name, options)

    steps = batch(Stopped(), mixed, session=session)
    assert "Stopped after 1 of 4 photos" in last(steps, "status")
    assert [p["photo"] for p in json.loads(saved(steps)["json"])["photos"]] == ["one.png"]
    assert len(batch(SquareReader(), mixed, session=session)) > len(steps)  # the next one goes on


@pytest.mark.parametrize("end", ["take", "close"])
def test_a_new_choice_or_a_closed_page_ends_the_run(mixed, end):
    reader = SquareReader()
    session = Session(models_of(reader))
    session.files = mixed
    steps = run(ReadBatch(100), session, session.take("batch"))
    next(steps)
    session.take("batch") if end == "take" else session.close()
    assert [step for step in steps if "files" in step] == []
    assert len(reader.seen) == 1


def test_too_many_photos_are_one_sentence(mixed):
    steps = batch(SquareReader(), mixed, most=2)
    assert "These are 3 photos, more than the 2 accepted at once." in last(steps, "status")
    assert "more than the 2" in tab.list_photos(mixed, 2)["status"]


def test_a_refused_zip_is_listed_and_the_rest_is_read(mixed, tmp_path):
    evil = tmp_path / "evil.zip"
    with zipfile.ZipFile(evil, "w") as file:
        file.writestr("../up.png", png(10))
    steps = batch(SquareReader(), [evil, mixed[0]])
    assert "evil.zip holds a name that leads out of it" in last(steps, "results")
    assert label_of(10) in last(steps, "results")


def test_what_was_deleted_meanwhile_is_said(tmp_path):
    steps = batch(SquareReader(), [tmp_path / "gone.png"])
    assert "gone.png is no longer here; upload it again" in last(steps, "results")


def test_an_empty_zip_holds_no_photo(tmp_path):
    path = tmp_path / "empty.zip"
    zipfile.ZipFile(path, "w").close()
    with tab.opened([path], 10) as items:
        assert [item.problem for item in items] == ["empty.zip holds no photo."]


def test_names_are_escaped():
    table = panel.Table(1)
    table.add(Report("<script>.png", error="<script>.png is broken"))
    assert "<script>" not in table.draw() + panel.progress(table, "<script>", 1.0)


def test_progress_tells_how_long():
    table = panel.Table(12, done=3)
    told = panel.progress(table, "four.png", 6.0)
    assert '<progress max="12" value="3"' in told
    assert "3 of 12, about 18&thinsp;s left" in told
    assert "left" not in panel.progress(panel.Table(12, done=1), "two.png", 2.0)


def test_only_uploads_are_read(tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(10))
    with pytest.raises(gr.Error, match="Only uploaded photos"):
        components.paths([{"path": str(secret)}])
    assert components.paths(None) == components.paths([]) == ()


# ---- over HTTP ----


@pytest.fixture(scope="module")
def client(squares):
    return connect(squares)


def test_api_reads_many_files_and_zips(client, mixed):
    from gradio_client import handle_file

    document = client.predict([handle_file(str(path)) for path in mixed], api_name="/batch")
    jsonschema.validate(document, json_schema())
    assert [len(photo.get("faces", [])) for photo in document["photos"]] == [1, 2, 0, 0]
    five = [handle_file(str(mixed[0]))] * 5
    assert client.predict(five, api_name="/batch") == {
        "error": "These are 5 photos, more than the 3 accepted at once."
    }
    assert "No photos were sent" in client.predict([], api_name="/batch")["error"]


def test_api_reads_no_files_of_the_server_in_a_list(squares, tmp_path):
    import httpx

    secret = tmp_path / "secret.png"
    secret.write_bytes(png(10))
    sent = {"data": [[{"path": str(secret)}]]}
    asked = f"{squares}/gradio_api/call/batch"
    call = httpx.post(asked, json=sent, timeout=PATIENCE)
    answer = httpx.get(f"{asked}/{call.json()['event_id']}", timeout=PATIENCE).text
    assert "event: error" in answer
    assert "faces" not in answer
