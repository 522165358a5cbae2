"""Try a prepared folder against the run that was measured, and push it to the Hub."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ferce import images, models
from ferce.core.types import Face
from ferce.data.sources import DEMO
from ferce.faces.detector import FaceDetector
from ferce.models.fusion import FILE as FUSION
from ferce.models.hub import PICKLES, CheckpointError, read_json
from ferce.models.vlm.loading import QUANTISED
from ferce.publishing import base, staging
from ferce.publishing.publish import ADAPTER, OURS, kind_of
from ferce.publishing.staging import PublishError

WEIGHTS = (".safetensors", *PICKLES)
PAUSES = (1.0, 3.0, 9.0)  # seconds before each further try when the Hub fails
_T = TypeVar("_T")


def push(
    folder: Path,
    name: str,
    public: bool = False,
    message: str = "Publish with ferce",
    pauses: Sequence[float] = PAUSES,
) -> str:
    """Upload everything in the folder in one commit; gives the commit's 40 hex digits.

    The token is that of `hf auth login` or HF_TOKEN; it is shown nowhere.

    Args:
        folder: as `publish.prepare` left it.
        name: `owner/name`; made if need be.
        public: whether a new repository is public.
        message: of the commit.
        pauses: seconds to wait before each further try when the Hub fails.

    Raises:
        PublishError: the folder must not be published, or the Hub does not take it.
    """
    from huggingface_hub import HfApi

    staging.check(folder)
    api = HfApi(library_name="ferce")
    _retry(lambda: api.create_repo(name, private=not public, exist_ok=True), name, pauses)
    there = _retry(lambda: api.model_info(name), name, pauses)
    _refuse_public(there.private, public, name)
    _refuse_strangers(folder, [file.rfilename for file in there.siblings or ()], name)
    done = _retry(
        lambda: api.upload_folder(
            repo_id=name, folder_path=folder, commit_message=message, parent_commit=there.sha
        ),
        name,
        pauses,
    )
    return str(done.oid)


def push_space(
    folder: Path,
    name: str,
    variables: Mapping[str, str],
    token: str = "",
    public: bool = False,
    pauses: Sequence[float] = PAUSES,
) -> str:
    """Upload a Space in one commit, with its variables; gives the commit's 40 hex digits.

    Args:
        folder: as `staging.prepare_space` left it.
        name: `owner/name`; made if need be.
        variables: settings of the page, which everybody may read.
        token: kept by the Space as the secret HF_TOKEN, to open private models; "" for none.
        public: whether a new Space is public.
        pauses: seconds to wait before each further try when the Hub fails.

    Raises:
        PublishError: the Hub does not take it.
    """
    from huggingface_hub import HfApi

    api, space = HfApi(library_name="ferce"), {"repo_type": "space"}
    made = {**space, "space_sdk": "gradio", "private": not public, "exist_ok": True}
    _retry(lambda: api.create_repo(name, **made), name, pauses)  # type: ignore[arg-type]
    there = _retry(lambda: api.space_info(name), name, pauses)
    _refuse_public(there.private, public, name)
    for key, value in variables.items():
        _retry(partial(api.add_space_variable, name, key, value), name, pauses)
    if token:
        _retry(lambda: api.add_space_secret(name, "HF_TOKEN", token), name, pauses)
    words = "Publish with ferce"
    done = _retry(
        lambda: api.upload_folder(
            repo_id=name, repo_type="space", folder_path=folder, commit_message=words
        ),
        name,
        pauses,
    )
    return str(done.oid)


def _refuse_public(private: Any, public: bool, name: str) -> None:
    if not private and not public:
        raise PublishError(
            f"{name} exists and is public; make it private there, or ask to publish it publicly."
        )


def _refuse_strangers(folder: Path, there: Sequence[str], name: str) -> None:
    """Refuse weights of another model beside ours, which some library would load."""
    ours = {path.name for path in folder.iterdir()}
    if odd := sorted(n for n in there if n.endswith(WEIGHTS) and n not in ours):
        raise PublishError(
            f"{name} already holds {odd[0]}, which is not of this model; delete it there, or "
            "publish under another name."
        )


def _retry(step: Callable[[], _T], name: str, pauses: Sequence[float]) -> _T:
    """Do a step, and again after each pause where the Hub itself fails.

    Raises:
        PublishError: it fails for good.
    """
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    for pause in (*pauses, None):
        try:
            return step()
        except HfHubHTTPError as error:
            status = error.response.status_code
            if status < 500 or pause is None:
                raise PublishError(_reason(status, name)) from error
        except (httpx.HTTPError, OSError, RuntimeError) as error:
            if pause is None:
                raise PublishError(
                    f"{_endpoint()} cannot be reached or broke off; {name} may be incomplete. "
                    "Run the same command again."
                ) from error
        except ValueError as error:  # the metadata of the card, as the Hub judges it
            reason = " ".join(str(error).split())
            raise PublishError(f"The Hub refuses the card of {name}: {reason}") from error
        assert pause is not None, "the last try returns or raises"
        time.sleep(pause)
    raise AssertionError("the last try returns or raises")


def _reason(status: int, name: str) -> str:
    reasons = {
        400: f"The Hub refuses the content of {name} (400); its card or a file is not valid.",
        401: "The Hub does not know you (401); run `hf auth login`, or set HF_TOKEN.",
        403: f"Your token may not write to {name} (403); use one with write access to its owner.",
        404: f"The Hub has no {name}, or your token does not open it (404).",
        409: f"{name} changed while it was written (409); run the same command again.",
        412: f"{name} changed while it was written (412); run the same command again.",
        429: "The Hub is asked too often (429); wait some minutes and run the same command again.",
    }
    failing = f"{_endpoint()} fails ({status}); {name} may be incomplete. Run the command again."
    other = f"The Hub refuses {name} with status {status}."
    return reasons.get(status, failing if status >= 500 else other)


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "The Hub")


def require_same(run: Path, folder: Path) -> None:
    """Refuse a folder that does not load, or scores a face otherwise than the run does.

    Args:
        run: what was measured.
        folder: what is to be published of it; an adapter is tried on the run's base.

    Raises:
        PublishError: says what went wrong.
    """
    with FaceDetector() as detector:
        (face,) = detector.detect(images.load(DEMO / "examples" / "happily_surprised.jpg"))
    try:
        on = str(base.place_of(run) or "") if (run / ADAPTER).is_file() else ""
        specs = [spec_of(place, str(place), on) for place in (run, folder)]
        measured, published = (_scores(spec, face) for spec in specs)
    except (CheckpointError, ValueError, OSError) as error:
        raise PublishError(f"What would be published does not load again: {error}") from error
    if not np.allclose(measured, published, atol=1e-4):
        raise PublishError(
            f"What would be published is not the run that was measured: it scores a face "
            f"{published.round(3)} where {run} gives {measured.round(3)}."
        )


def spec_of(folder: Path, name: str, on: str = "") -> str:
    """Write the spec that loads the weights in a folder.

    Args:
        folder: of a network or an adapter.
        name: what the spec calls it: the folder, or `owner/name`.
        on: base of an adapter; the one that its config names by default.
    """
    if not (folder / ADAPTER).is_file():
        return f"{'embedded' if (folder / FUSION).is_file() else 'timm'}:{name}"
    config = read_json(folder / ADAPTER)
    ours = read_json(folder / OURS) if (folder / OURS).is_file() else {}
    precision = ours.get("training", {}).get("precision")
    option = f"?load={precision}" if precision in QUANTISED else ""
    on = on or str(config["base_model_name_or_path"])
    return f"{kind_of(config, folder)}:{on}+{name}{option}"


def _scores(spec: str, face: Face) -> NDArray[np.float64]:
    return np.asarray(models.load_classifier(spec).scores([face]).classes[0])
