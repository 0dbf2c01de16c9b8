#!/usr/bin/env bash
# Shows mail going from an Exchange inbox to RabbitMQ and back out, on this machine, with nothing but a sandbox.
# Installs what is missing (Python, RabbitMQ's package, two environments in the checkout) and runs `bridge demo`
# with the arguments given here, for example: deploy/quickstart.sh --mails DIR --requests 50 --json
set -euo pipefail
from=$PWD
cd "$(dirname "$0")/.."
source deploy/system.sh
ensure_rabbitmq
venv=${BRIDGE_VENV:-.venv-quickstart}
ensure_environment "$venv" deploy/requirements-sandbox.txt
ensure_environment "$venv-build" deploy/requirements-build.txt
install_bridge "$venv" "$venv-build"
bin=$(cd "$venv/bin" && pwd)
cd "$from" # which --mails DIR is meant from
exec "$bin/bridge" demo "$@"
