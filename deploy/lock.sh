#!/usr/bin/env bash
# Pins every dependency by version and hash; run it after changing pyproject.toml. Needs uv. Versions that are pinned
# already stay as they are: delete a file to have newer ones.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() { # output, what to pin...
  local output=$1; shift
  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
    "$@" --output-file "$output"
}
build_backend() { grep -oE 'hatchling==[0-9.]+' pyproject.toml; }
# What a worker loads, and no more.
compile deploy/requirements.txt --extra blobs pyproject.toml
# A sandbox and the demo, which has workers too.
compile deploy/requirements-sandbox.txt --extra blobs --extra sandbox pyproject.toml
# What makes the wheel: the build backend is pinned too, so that installing the bridge itself fetches nothing unpinned.
build_backend | compile deploy/requirements-build.txt -
build_backend | compile tests/requirements.txt --extra blobs --extra sandbox --extra dev pyproject.toml -
