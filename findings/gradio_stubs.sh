#!/usr/bin/env bash
# Each import of Gradio parses the source of every component and rewrites stub files beside it.
#
# The stubs serve editors, and come with the package. Yet as each component's class is made, its
# source is read and taken apart, and a stub that is missing or differs is written into
# site-packages: by every process that imports Gradio, also one that serves. ferce leaves it out when
# its page starts (`ferce/ui/startup.py`). Fails when a version behaves differently.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check gradio==6.31.0
cd "$folder"
cat > counted.py <<'PYTHON'
import ast
import time

seen = []
parse = ast.parse


def counting(source, *rest, **more):
    seen.append(len(source) if isinstance(source, str) else 0)
    return parse(source, *rest, **more)


ast.parse = counting
start = time.process_time()
import gradio

spent = time.process_time() - start
import gradio.component_meta as meta

print(f"gradio {gradio.__version__}: sources parsed in one import: {len(seen)}, "
      f"{sum(seen) / 1e6:.1f} million characters, in {spent:.1f} s of processor time")
assert len(seen) > 50, "an import parses few sources now"
PYTHON
venv/bin/python counted.py
stub=$(venv/bin/python -c 'import gradio.components as c, pathlib; print(pathlib.Path(c.__file__).with_name("image.pyi"))')
rm "$stub"
venv/bin/python -c 'import gradio'
test -s "$stub" || { echo "a stub that is missing stays away now"; exit 1; }
echo "$(basename "$stub") was removed and is written again by 'import gradio'"
