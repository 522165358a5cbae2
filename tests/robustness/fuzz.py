"""Fuzz our own decoders, guided by coverage; each of them in turn, or one by name.

    pip install atheris
    python tests/robustness/fuzz.py --minutes 60 --kept FOLDER [NAME ...]

Atheris has wheels for Linux with Python 3.11 to 3.13; the tests do without it (`test_fuzz.py`). The
harnesses stand in `tests/shared/harnesses.py`. Each kind of fault, and an input that takes more
than `harnesses.SECONDS` or 2 GB of memory, leaves its input in FOLDER/faults; the exit status is
then 1. FOLDER also keeps what reached new code, from which the next run starts.
"""

import argparse
import hashlib
import subprocess
import sys
import time
import traceback
import warnings
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "shared")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60, help="of all decoders together")
    parser.add_argument("--kept", type=Path, required=True, help="folder of corpora and faults")
    parser.add_argument("names", nargs="*", help="decoders; default all")
    given = parser.parse_args()
    names = given.names or known()
    fallen = [name for name in names if not turn(name, given.kept, given.minutes / len(names))]
    print(f"{len(names)} decoders, {len(fallen)} fell: {', '.join(fallen) or 'none'}", flush=True)
    return bool(fallen)


def known():
    """Ask another process: what is imported here could not be instrumented any more."""
    code = "import harnesses; print(*harnesses.HARNESSES)"
    path = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'shared'}", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], env=path, capture_output=True, check=True)
    return done.stdout.decode().split()


def turn(name, kept, minutes):
    """Fuzz one decoder in a process of its own; whether it stood."""
    corpus, faults = kept / name, kept / "faults"
    for folder in (corpus, faults):
        folder.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={60 * minutes:.0f}",
        f"-artifact_prefix={faults}/{name}-",
        "-rss_limit_mb=2048",
        "-max_len=65536",
        "-print_final_stats=1",
    ]
    begun = time.monotonic()
    command = [sys.executable, __file__, "--harness", name, *options, str(corpus)]
    with (kept / f"{name}.log").open("wb") as log:
        status = subprocess.run(command, stdout=log, stderr=log, check=False).returncode
    print(f"{name}: {time.monotonic() - begun:.0f} s, status {status}", flush=True)
    return status == 0 and not list(faults.glob(f"{name}-*"))


class Watched:
    """A harness that notes each kind of fault once and goes on."""

    def __init__(self, harness, prefix, seconds):
        self.harness, self.prefix, self.seconds = harness, prefix, seconds
        self.seen = set()

    def __call__(self, data):
        begun = time.monotonic()
        try:
            self.harness.once(data)
        except Exception as error:
            where = [f"{f.filename}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__)]
            self.note(f"{type(error).__name__} {where[-3:]}", data, traceback.format_exc())
        if time.monotonic() - begun > self.seconds:
            self.note("slow", data, "")

    def note(self, kind, data, told):
        if kind in self.seen:
            return
        self.seen.add(kind)
        print(f"FAULT {kind}\n{told}", flush=True)
        mark = hashlib.sha256(kind.encode()).hexdigest()[:8]
        Path(f"{self.prefix}{mark}").write_bytes(data)


def fuzz(name, arguments):
    import atheris

    with atheris.instrument_imports(include=["ferce"]):
        import harnesses
    harness = harnesses.HARNESSES[name]
    for number, seed in enumerate(harness.seeds()):
        (Path(arguments[-1]) / f"seed-{number}").write_bytes(seed)
    limit = f"-timeout={2 * harnesses.SECONDS:.0f}"  # for what never ends; the rest is `Watched`
    (prefix,) = (a.partition("=")[2] for a in arguments if a.startswith("-artifact_prefix="))
    watched = Watched(harness, prefix, harnesses.SECONDS)
    warnings.simplefilter("error")  # as the tests have it
    atheris.Setup([sys.argv[0], limit, *arguments], watched)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--harness"]:
        fuzz(sys.argv[2], sys.argv[3:])
    else:
        sys.exit(main())
