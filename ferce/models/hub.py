"""Find a checkpoint: a local folder, or a repository of the Hub fetched into the cache."""

import hashlib
import os
import re
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Any

from ferce.core import jsontext
from ferce.models import spec

# What a checkpoint may consist of. Pickles (.bin, .pt, .ckpt, .h5) and code (.py) never come along.
FILES = (
    "*.safetensors",
    "*.json",
    "*.jinja",
    "*.model",
    "*.txt",
    "*.md",
    "LICENSE*",
    "network.onnx",
)
IGNORED = ("original/*", "consolidated*", "onnx/*", "openvino/*", "*.fp16.safetensors")
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")
# Bytes read from each of the sampled places of a weight file for its fingerprint.
SAMPLE = 65_536
PLACES = 16
_SHA256 = re.compile("[0-9a-f]{64}")


class CheckpointError(ValueError):
    """An error for a checkpoint that cannot be had, or must not be loaded."""


def resolve(where: str, revision: str | None = None) -> Path:
    """Find the folder of a checkpoint, fetched from the Hub if it is not one already.

    With the Hub out of reach the cached copy is used. Weights that lie broken in the cache, cut
    short by a full disk for instance, are fetched again. Weights just fetched must have the SHA-256
    that the Hub states.

    Args:
        where: a folder, or `owner/name` of the Hub.
        revision: branch, tag or commit; None is the main branch. Not for a folder.

    Raises:
        CheckpointError: neither a folder nor a repository that can be reached or is cached, one
            that holds no safetensors, or one whose cached weights are broken and cannot be mended.
    """
    folder = local(where, revision)
    if folder is not None:
        return folder
    before = set(_blobs(where))
    fetched = _fetch(where, revision)
    _check(where, fetched, before)
    _mend(where, fetched)
    return require_safetensors(fetched, where, _listed(where, revision, fetched))


def local(where: str, revision: str | None = None) -> Path | None:
    """Find a checkpoint's folder on this machine; None for an id of the Hub.

    Nothing is fetched or loaded. Raises as `resolve` does.
    """
    folder = spec.folder_at(where)
    if folder is not None:
        if revision is not None:
            raise CheckpointError(f"{where} is a folder, so it has no revision {revision!r}.")
        return require_safetensors(folder.resolve(), where)
    if not _is_repository(where):
        raise CheckpointError(
            f"{spec.quoted(where)} is neither a folder nor an owner/name of the Hub."
        )
    return None


def require_safetensors(folder: Path, where: str, names: Sequence[str] = ()) -> Path:
    """Refuse a folder without weights as safetensors, or one that it cannot open.

    Args:
        folder: what `where` names, here or fetched.
        where: how the caller called it, for the message.
        names: files known to lie beside those in the folder, not fetched.

    Raises:
        CheckpointError: it holds none; the message names the folder below that does, or the
            pickles it has instead.
    """
    if str(folder).encode(errors="ignore").decode() != str(folder):
        raise CheckpointError(
            f"{where} has a name that is no Unicode, which safetensors cannot open; rename it."
        )
    if any(folder.glob("*.safetensors")):
        return folder
    if below := sorted({path.parent.name for path in folder.glob("*/*.safetensors")}):
        raise CheckpointError(
            f"{where} holds its weights in {', '.join(below[:3])}; name the folder itself, such as "
            f"{folder / below[0]}."
        )
    names = [*names, *(path.name for path in folder.iterdir())]
    pickles = sorted({name for name in names if name.endswith(PICKLES)})
    holds = f"only pickles ({', '.join(pickles)})" if pickles else "no weights"
    raise CheckpointError(
        f"{where} must hold its weights as .safetensors; it has {holds}, and ferce loads no pickle."
    )


def fingerprint(folder: Path) -> str:
    """Hash weights: 16 hex digits that identify them, whatever the folder is called.

    Hashes the size of every weight file and up to 1 MB spread over it, so that a model of many
    gigabytes takes a moment; weights that differ only between the sampled places look equal.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        for piece in _samples(path):
            digest.update(piece)
    return digest.hexdigest()[:16]


def weights(model: str) -> str | None:
    """Hash the weights in the local folder that a spec names; None if it names none."""
    folder = folder_of(model)
    return fingerprint(folder) if folder else None


def folder_of(model: str) -> Path | None:
    """Find the local folder that holds the model of a spec, or its adapter."""
    named = spec.parse(model)
    return spec.folder_at(named.adapter or named.where)


def read_json(path: Path) -> dict[str, Any]:
    """Read the object in a JSON file; raises CheckpointError when there is none."""
    try:
        value = jsontext.parse(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} must be a JSON file; {error}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} must hold a JSON object; got {type(value).__name__}.")
    return value


def repository_of(folder: Path) -> str | None:
    """Find the `owner/name` that a folder of the Hub's cache belongs to, else None."""
    cache = folder.parent.parent.name  # models--owner--name/snapshots/COMMIT
    if folder.parent.name != "snapshots" or not cache.startswith("models--"):
        return None
    return cache.removeprefix("models--").replace("--", "/")


def _is_repository(where: str) -> bool:
    if where.startswith((".", "/", "~")) or Path(where).is_absolute():
        return False
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(where)
    except HFValidationError:
        return False
    return True


def _fetch(where: str, revision: str | None) -> Path:
    from huggingface_hub import errors, snapshot_download
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    at = f" at revision {revision!r}" if revision else ""
    options: dict[str, Any] = {"allow_patterns": list(FILES), "ignore_patterns": list(IGNORED)}
    try:
        return Path(snapshot_download(where, revision=revision, **options))
    except errors.GatedRepoError as error:
        reason = f"{where} is gated: accept its terms on the Hub and set HF_TOKEN."
        raise CheckpointError(reason) from error
    except errors.RevisionNotFoundError as error:
        raise CheckpointError(f"The Hub has {where}, but not{at}.") from error
    except errors.RepositoryNotFoundError as error:
        reason = f"The Hub has no {where}, or it is private and HF_TOKEN does not open it."
        raise CheckpointError(reason) from error
    except (errors.LocalEntryNotFoundError, httpx.HTTPError, OSError) as error:
        reason = f"{where}{at} is not in the cache, and {_trouble(error)}."
        raise CheckpointError(reason) from error


def _trouble(error: BaseException) -> str:
    """Say what the Hub answered before its library looked into the cache; ends a sentence."""
    from huggingface_hub.errors import HfHubHTTPError

    endpoint = os.environ.get("HF_ENDPOINT", "the Hub")
    cause = error if isinstance(error, HfHubHTTPError) else error.__cause__
    if not isinstance(cause, HfHubHTTPError):
        return f"{endpoint} cannot be reached"
    status = cause.response.status_code
    if status in (401, 403):
        return f"{endpoint} does not take your token ({status}); set HF_TOKEN to one"
    return f"{endpoint} fails ({status})"


def _blobs(where: str) -> list[str]:
    """List what the cache holds of a repository; weights are called by their SHA-256."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=where, repo_type="model")
    return [path.name for path in (folder / "blobs").glob("*")]


def _check(where: str, folder: Path, before: Container[str]) -> None:
    """Refuse weights that came with other bytes than the Hub states, and forget them.

    Raises:
        CheckpointError: a file was altered on the way or on the Hub.
    """
    for path in sorted(folder.glob("*.safetensors")):
        blob = path.resolve()
        if blob.name in before or not _SHA256.fullmatch(blob.name):
            continue
        with blob.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != blob.name:
            path.unlink()
            blob.unlink()
            raise CheckpointError(
                f"{path.name} of {where} does not have the checksum that the Hub states; it was "
                "altered on the way and is deleted. Try again, or over another network."
            )


def _mend(where: str, folder: Path) -> None:
    """Fetch cached weights again that are no whole safetensors file.

    Raises:
        CheckpointError: they are broken still, or the Hub cannot be reached.
    """
    from huggingface_hub import errors, hf_hub_download
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    for path in sorted(folder.glob("*.safetensors")):
        if _is_whole(path):
            continue
        try:
            hf_hub_download(where, path.name, revision=folder.name, force_download=True)
        except (errors.EntryNotFoundError, httpx.HTTPError, OSError, ValueError) as error:
            raise CheckpointError(
                f"{path.name} of {where} is broken in the cache, and the Hub cannot be reached to "
                f"fetch it again; it lies at {path}."
            ) from error
        if not _is_whole(path):
            raise CheckpointError(f"{path.name} of {where} is broken on the Hub itself.")


def _is_whole(path: Path) -> bool:
    """Tell whether the header is sound and the file as long as it says; no number is read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):
            return True
    except SafetensorError:
        return False


def _listed(where: str, revision: str | None, fetched: Path) -> list[str]:
    """List the repository's files, asked only when no safetensors came; empty without a Hub."""
    from huggingface_hub import list_repo_files
    from huggingface_hub.errors import HfHubHTTPError

    if any(fetched.glob("*.safetensors")):
        return []
    try:
        return list(list_repo_files(where, revision=revision))
    except (HfHubHTTPError, OSError):
        return []


def _samples(path: Path) -> Iterator[bytes]:
    size = path.stat().st_size
    yield f"{path.name}:{size}".encode()
    with path.open("rb") as file:
        for place in range(PLACES):
            file.seek(min(place * max(size // PLACES, SAMPLE), size))
            yield file.read(SAMPLE)
