import io
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

import ferce
from ferce.core.parts import Explanation
from ferce.core.types import Face, Scores, UnitEvidence
from ferce.faces.detector import FaceDetector
from ferce.reading.pipeline import NO_FACE, Options, Reader
from ferce.reading.video import Follower


@pytest.fixture(scope="module")
def reader(detector):
    return Reader(detector=detector)


def test_real_photo_end_to_end(reader, astronaut):
    report = reader.read(astronaut, name="astronaut")
    assert (report.photo, report.size, report.error) == ("astronaut", (512, 512), None)
    assert report.seconds > 0
    (reading,) = report.readings
    assert (reading.state, reading.prediction.label) == ("basic", "happy")
    assert max(reading.heatmap.regions, key=reading.heatmap.regions.get) == "mouth"
    assert 12 in {cue.unit for cue in reading.explanation.cues}
    assert "happy" in reading.explanation.text


def test_a_tilted_smile_is_read_alike_in_a_photo_and_a_frame(reader, astronaut):
    head = Image.fromarray(astronaut[:300, 60:360])
    canvas = Image.new("RGB", (600, 600), (110, 110, 110))
    canvas.paste(head, (150, 150))
    photo = np.asarray(canvas.rotate(60, Image.Resampling.BICUBIC, fillcolor=(110, 110, 110)))
    (reading,) = reader.read(photo, options=Options(method=None, explain=False)).readings
    (seen,) = Follower(reader).step(photo, 0.0)
    assert reading.prediction.label == seen.reading.prediction.label == "happy"
    assert np.allclose(seen.face.landmarks, reading.face.landmarks, atol=3)


def test_a_face_beyond_the_limit_is_reported(astronaut):
    with Reader(detector=FaceDetector(max_faces=1)) as reader:
        photo = np.concatenate([astronaut, astronaut], axis=1)
        first, second = reader.read(photo, options=Options(method=None, explain=False)).readings
    assert first.prediction is not None
    assert second.prediction is None
    assert "only the 1 largest" in second.reason


def test_parts_grow_in_order(reader, smiling):
    parts = list(reader.stream(smiling, Options(questions=("Is the mouth open?",))))
    assert parts[0].prediction is not None
    assert parts[0].heatmap is None
    assert parts[1].heatmap is not None
    assert parts[1].answers == ()
    assert parts[2].answers[0].question == "Is the mouth open?"
    assert parts[2].explanation is None
    assert parts[-1].explanation.text
    for before, after in pairwise(parts):
        assert after.prediction == before.prediction


def test_options_leave_parts_out(reader, smiling):
    (only,) = reader.stream(smiling, Options(method=None, explain=False))
    assert only.heatmap is None
    assert only.explanation is None


def test_target_and_method_are_chosen(reader, smiling):
    chosen = Options(method="shapley", target="sadly angry", explain=False)
    *_, reading = reader.stream(smiling, chosen)
    assert (reading.heatmap.label, reading.heatmap.method) == ("sadly angry", "shapley")


def test_unreadable_face_gets_a_reason_and_no_class(reader, smiling):
    tiny = smiling.replace(problem="The face is too small to read.")
    (reading,) = reader.stream(tiny)
    assert reading.prediction is None
    assert (reading.state, reading.reason) == ("unclear", "The face is too small to read.")


def test_a_batch_is_predicted_in_order(reader, smiling):
    tiny = smiling.replace(problem="The face is too small to read.")
    bare = Face(crop=smiling.crop)
    readings = reader.predict([tiny, smiling, bare])
    assert [reading.face.crop is smiling.crop for reading in readings] == [True] * 3
    assert [reading.prediction is None for reading in readings] == [True, False, False]
    (alone,) = reader.predict([bare])
    assert np.allclose(alone.scores.classes, readings[2].scores.classes, atol=1e-5)
    assert alone.prediction.label == readings[2].prediction.label
    assert reader.predict([]) == []


def test_each_part_can_be_asked_for_again(reader, smiling):
    (reading,) = reader.predict([smiling])
    happy = reader.locate(reading, "happy", "occlusion")
    other = reader.locate(happy, "happy", "occlusion", against="sad")
    assert (happy.heatmap.label, happy.prediction) == ("happy", reading.prediction)
    assert not np.array_equal(happy.heatmap.values, other.heatmap.values)
    asked = reader.answer(reader.answer(happy, ["Is the mouth open?"]), ["Are the eyes closed?"])
    assert [a.question for a in asked.answers] == ["Is the mouth open?", "Are the eyes closed?"]
    assert asked.heatmap is happy.heatmap
    *texts, checked = reader.explain(asked, measure=False)
    assert all(checked.explanation.text.startswith(one.explanation.text) for one in texts)
    assert checked.explanation.cues
    assert checked.faithfulness is None
    assert reader.verify(checked, checked.explanation).faithfulness is not None


def test_bad_photos_are_reported_and_stop_nothing(reader, astronaut, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"not a picture")
    empty = np.full((300, 300, 3), 200, np.uint8)
    stream = io.BytesIO()
    Image.fromarray(astronaut).save(stream, "PNG")
    sources = [broken, tmp_path / "missing.jpg", empty, stream.getvalue()]
    reports = list(reader.read_many(sources, Options(method=None, explain=False)))
    assert [bool(report.error) for report in reports] == [True, True, True, False]
    assert "broken.jpg" in reports[0].photo
    assert reports[2].error == NO_FACE


def test_classifier_that_measures_units_is_believed_where_it_is_surer(detector, astronaut):
    class Sensor:
        name = "sensor"

        def scores(self, faces):
            units = {6: UnitEvidence(6, 0.8, 0.7, source="net"), 12: UnitEvidence(12, 0.1, 0.1)}
            return Scores(np.full((len(faces), 14), 1 / 14), units=[units] * len(faces))

    reader = Reader(classifier=Sensor(), detector=detector)
    (reading,) = reader.read(astronaut, options=Options(method=None)).readings
    assert reading.face.units[6].source == "net"
    assert reading.face.units[12].intensity > 0.9


def test_neutral_face_through_a_model_of_compounds_only(detector, smiling):
    class Flat:
        name = "flat"

        def scores(self, faces):
            return Scores(np.full((len(faces), 14), 1 / 14))

    still = smiling.replace(
        units={u: UnitEvidence(u, 0.0, e.confidence) for u, e in smiling.units.items()}
    )
    reader = Reader(classifier=Flat(), detector=detector)
    *_, reading = reader.stream(still)
    assert reading.prediction.label == "neutral"
    assert reading.heatmap.label == reading.prediction.compound
    # Without a map claims and faithfulness are still measured, on the likeliest compound.
    said = Explanation("The mouth smiles.", "someone")
    mapless = reader.verify(replace(reading, heatmap=None), said)
    assert mapless.explanation.cues[0].used == "not used"


def test_another_emotion_than_the_predicted_is_a_contradicted_claim(reader, smiling):
    (reading,) = reader.predict([smiling])
    said = Explanation("The mouth smiles, a sign of fear. It does not fit anger.", "someone")
    checked = reader.verify(reading, said, measure=False)
    (cue,) = [cue for cue in checked.explanation.cues if cue.unit is None]
    assert (cue.text, cue.seen) == ("fear", "contradicted")
    assert "holds no fear" in cue.evidence
    assert "talk of fear" in checked.revised.text


def test_models_are_named(reader):
    assert reader.models == {
        "detector": "mediapipe:face_landmarker",
        "classifier": "embedded",
        "voice": "fastvlm-mini",
    }


def test_short_form(astronaut):
    report = ferce.read(astronaut, questions=["Is the mouth open?"])
    assert report.readings[0].answers[0].question == "Is the mouth open?"


def test_crop_without_detection_is_read(reader, smiling):
    *_, reading = reader.stream(Face(crop=smiling.crop))
    assert reading.heatmap is not None
    assert reading.heatmap.regions == {}


def test_the_measured_voice_is_not_checked_by_its_own_measurement(reader, smiling):
    from ferce.models import load_voice

    *_, reading = reader.speaking(load_voice("measured")).stream(smiling)
    assert reading.explanation.composed
    assert reading.explanation.cues
    assert {cue.seen for cue in reading.explanation.cues} == {None}
    assert "used" in {cue.used for cue in reading.explanation.cues}
    assert reading.revised is None
