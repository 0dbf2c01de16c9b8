#!/usr/bin/env bash
# Pins every dependency by version and hash; run it after changing pyproject.toml. Needs uv.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() { # output, extras...
  local output=$1; shift
  # the build backend is pinned too, so that installing the bridge itself fetches nothing unpinned
  grep -oE 'hatchling==[0-9.]+' pyproject.toml | uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-header "$@" pyproject.toml - --output-file "$output"
}
compile deploy/requirements.txt --extra blobs --extra sandbox
compile tests/requirements.txt --extra blobs --extra sandbox --extra dev
