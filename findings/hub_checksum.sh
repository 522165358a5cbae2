#!/usr/bin/env bash
# huggingface_hub keeps a file whose bytes are not those of the SHA-256 under which it caches it.
#
# The Hub states the SHA-256 of large files (its ETag), and the cache calls the file by it. Only the
# length is compared: a byte altered on the way stays, and every later load takes it from the cache.
# ferce compares the digest of weights that it has just fetched. Fails when a version behaves differently.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check huggingface_hub==2.4.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import hashlib
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

right = b"weights" * 1000
stated = hashlib.sha256(right).hexdigest()
wrong = right[:-1] + b"?"


class Hub(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        headers = {"Content-Length": len(wrong), "X-Linked-Size": len(wrong), "X-Repo-Commit": 40 * "0"}
        for name, value in {**headers, "ETag": f'"{stated}"', "X-Linked-Etag": f'"{stated}"'}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(wrong)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ |= {
    "HF_ENDPOINT": f"http://127.0.0.1:{server.server_address[1]}", "HF_HOME": "home",
    "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}
import huggingface_hub

print("huggingface_hub", huggingface_hub.__version__)
path = Path(huggingface_hub.hf_hub_download("owner/name", "model.safetensors"))
named, digest = path.resolve().name, hashlib.sha256(path.read_bytes()).hexdigest()
print(f"called by {named[:8]}, holds {digest[:8]}")
assert named == stated != digest, "a wrong file is refused now"
PYTHON
