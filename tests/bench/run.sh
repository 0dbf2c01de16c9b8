#!/usr/bin/env bash
# Benchmarks: tests/bench/run.sh [NAME...] [--quick] [--json FILE]
set -euo pipefail
cd "$(dirname "$0")/../.."
source deploy/system.sh
ensure_rabbitmq
venv=${BRIDGE_VENV:-.venv}
ensure_environment "$venv" tests/requirements.txt
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
# A checkout's own code is then compiled once, as an installed package's is.
unset PYTHONDONTWRITEBYTECODE
exec "$venv/bin/python" -m tests.bench "$@"
