# What the bridge needs of the system, for the scripts that source this: a Python and, for tests and demo, RabbitMQ's
# package. Debian and Ubuntu only; elsewhere it says what to install. Names everything that it installs.

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

apt_install() { # packages...
  if ! command -v apt-get >/dev/null; then
    echo "Please install: $* (only Debian's apt-get is known here)" >&2
    return 1
  fi
  echo "Installing $* with apt-get" >&2
  as_root apt-get -qq update >&2
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends "$@" >&2
}

# Prints a Python of version 3.11 or newer that can make environments.
find_python() {
  local candidate
  for candidate in python3.11 python3.12 python3.13 python3.14 python3 /usr/bin/python3; do
    if command -v "$candidate" >/dev/null &&
      "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  return 1
}

ensure_python() {
  find_python >/dev/null || apt_install python3 python3-venv
  find_python || { echo "Python 3.11 or newer with venv is needed" >&2; return 1; }
}

# The package brings a system broker. One that was not there before is not started; one that is there is left alone.
ensure_rabbitmq() {
  [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] && return
  local policy=/usr/sbin/policy-rc.d made=no
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
    as_root chmod 755 $policy
    made=yes
  fi
  local status=0
  apt_install rabbitmq-server || status=$?
  [ $made = no ] || as_root rm -f $policy
  return $status
}

ensure_node() {
  command -v node >/dev/null && command -v npm >/dev/null || apt_install nodejs npm
}

# ensure_environment FOLDER LOCKFILE: a virtual environment with exactly what the lock file names.
ensure_environment() {
  local folder=$1 lock=$2 python stamp
  python=$(ensure_python)
  stamp="$("$python" -V) $(sha256sum "$lock" | cut -d' ' -f1)"
  if [ "$(cat "$folder/.stamp" 2>/dev/null)" != "$stamp" ]; then
    echo "Making the environment $folder" >&2
    rm -rf "$folder"
    "$python" -m venv "$folder"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock" >&2
    echo "$stamp" >"$folder/.stamp"
  fi
}
