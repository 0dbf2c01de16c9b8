# What the bridge needs of the system, for the scripts that source this: a Python and, for tests and demo, RabbitMQ's
# package. Debian and Ubuntu only; elsewhere it says what to install. Names everything that it installs.

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else echo "This needs root, and there is no sudo: $*" >&2; return 1
  fi
}

# Of what apt-get says only the last error is shown.
apt_install() { # packages...
  if ! command -v apt-get >/dev/null; then
    echo "Please install: $* (only Debian's apt-get is known here)" >&2
    return 1
  fi
  echo "Installing $* with apt-get" >&2
  local said
  said=$({
    as_root apt-get -qq update || true # an archive that is away matters only if it has what is needed
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends "$@"
  } 2>&1) || {
    echo "apt-get could not install $*: $(printf '%s\n' "$said" | grep '^E:' | tail -n 1)" >&2
    return 1
  }
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

ensure_rabbitmq() {
  [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || install_without_service rabbitmq-server rabbitmq-server
}

# DavMail, a foreign client of the sandbox, in the edition without windows. Any Java will do for it.
ensure_davmail() {
  command -v java >/dev/null && command -v keytool >/dev/null || apt_install default-jre-headless || return 1
  [ -e /usr/share/davmail/davmail.jar ] || install_without_service davmail-server davmail-server
}

# Some packages bring a system service. One that was not there before is not started, neither now nor at the next boot;
# one that is there is left alone.
install_without_service() { # service, packages...
  local service=$1
  shift
  (
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
      # It forbids packages to start services, so it must go however this ends.
      trap 'as_root rm -f $policy' EXIT
      trap 'exit 130' INT
      trap 'exit 143' TERM HUP
      printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null && as_root chmod 755 $policy || exit 1
    fi
    apt_install "$@" || exit 1
    if command -v systemctl >/dev/null && as_root systemctl --quiet disable "$service" >/dev/null 2>&1; then
      echo "Its service is off: systemctl enable --now $service would start it" >&2
    fi
  )
}

ensure_chromium() {
  # Chromium's own sandbox is a package apart; root cannot use it and does without.
  command -v chromium >/dev/null && command -v chromedriver >/dev/null &&
    { [ "$(id -u)" -eq 0 ] || [ -e /usr/lib/chromium/chrome-sandbox ]; } ||
    apt_install chromium chromium-sandbox chromium-driver
}

ensure_node() {
  command -v node >/dev/null && command -v npm >/dev/null || apt_install nodejs npm
}

ensure_curl() {
  command -v curl >/dev/null || apt_install curl
}

# ensure_environment FOLDER LOCKFILE: a virtual environment with exactly what the lock file names. Asks no registry where
# it is there; of two that make it at once the second waits for the first.
ensure_environment() {
  local folder=$1 lock=$2 python stamp said
  python=$(ensure_python) || return 1
  stamp="$("$python" -V) $(sha256sum "$lock" | cut -d' ' -f1)"
  mkdir -p "$(dirname "$folder")"
  (
    flock 9 || exit 1
    [ "$(cat "$folder/.stamp" 2>/dev/null)" != "$stamp" ] || exit 0
    echo "Making the environment $folder" >&2
    rm -rf "$folder"
    "$python" -m venv "$folder" || exit 1
    said=$("$folder/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock" 2>&1) || {
      echo "What $lock names could not be installed: $(printf '%s\n' "$said" | grep -v '^WARNING' | tail -n 1)" >&2
      exit 1
    }
    echo "$stamp" >"$folder/.stamp"
  ) 9>"$folder.lock"
}

# ensure_editable FOLDER: the checkout itself, as it is, in that environment; anew only where its metadata changed.
ensure_editable() {
  local folder=$1 stamp
  stamp="$PWD $(sha256sum pyproject.toml | cut -d' ' -f1)"
  (
    flock 9 || exit 1
    [ "$(cat "$folder/.editable" 2>/dev/null)" != "$stamp" ] || exit 0
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable . >&2 &&
      echo "$stamp" >"$folder/.editable"
  ) 9>"$folder.lock"
}

# install_bridge FOLDER BUILD: the checkout as a wheel, made by the environment BUILD, in the environment FOLDER.
install_bridge() {
  local folder=$1 build=$2 wheels
  wheels=$(mktemp -d)
  "$build/bin/python" -m pip wheel --quiet --disable-pip-version-check --no-build-isolation --no-deps --wheel-dir "$wheels" . >&2 &&
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps "$wheels"/*.whl >&2
  local status=$?
  rm -rf "$wheels"
  return $status
}
