#!/usr/bin/env bash
# Runs the tests. Installs what it needs, starts and stops its own broker, leaves a system broker alone.
#
#   tests/run.sh                 everything, fast checks first
#   tests/run.sh unit            what needs no services
#   tests/run.sh SUITE... [-- PYTEST ARGUMENTS]
#   tests/run.sh stress [--seed N] [--clients 50] [--seconds 300] [--kill-every 20]
#                                the sandbox under clients that do anything, killed again and again; not part of everything
#   tests/run.sh chaos [--seed N] [--mails M] [--requests R] [--seconds S] [--hard-delete] [--realistic] [--keep DIRECTORY]
#                                workers, links, broker, Exchange and credentials broken at random; then every mail and
#                                request is accounted for. A short run with fixed seeds is part of scenario
#   tests/run.sh soak [--seed N] [--minutes 30] [--realistic] [--keep DIRECTORY]
#                                steady traffic and mild faults for long: memory, threads, files and connections stay flat
#   tests/run.sh mutation [NUMBER...]
#                                deliberate faults in the bridge, one after the other: each must be caught by the tests
#                                that are named for it in docs/mutations.md
#   tests/run.sh sabotage [--seeds 3] [--realistic] [NUMBER...]
#                                sabotages of the bridge, one after the other: a small chaos against each must tell of it by
#                                the line that docs/sabotages.md names, with every seed
#   tests/run.sh fuzz [--seed N] [--mails 20000] [--full-size BYTES] [--giant BYTES [--giant-class NAME]] [--realistic]
#                                [--keep DIRECTORY]
#                                hostile mail through the whole bridge; each one arrives with its bytes or is parked. A few
#                                thousand go through the parser alone in unit, a few hundred through everything in scenario
#
#   tests/run.sh identity [-- --steady-seconds 60 --fleet 200]
#                                every way to sign in, renewals under steady traffic, Entra away, the administrator's guide;
#                                longer, and with more workers that start at once, by these arguments
#   tests/run.sh matrix [-- --real-heartbeats -k 'freeze or black-hole']
#                                the crash matrix; by this argument with heartbeats as in production, and longer; by
#                                --realistic in a world as unkind as Exchange's, as soak by the same word
#
# What failed runs once more by itself at the end. What passes then is named as flaky; up to three such tests let the run
# pass all the same.
#
# Suites: lint unit model corpus schema sandbox integration identity scenario browser matrix
set -uo pipefail
cd "$(dirname "$0")/.."
source deploy/system.sh

if [[ "${1:-}" =~ ^(stress|chaos|soak|mutation|sabotage|fuzz)$ ]]; then
  what=$1
  shift
  [ "$what" = stress ] || ensure_rabbitmq >&2 || exit 1
  ensure_environment "${BRIDGE_VENV:-.venv}" tests/requirements.txt >&2 || exit 1
  exec "${BRIDGE_VENV:-.venv}/bin/python" -m "tests.$what" "$@"
fi

suites=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do suites+=("$1"); shift; done
[ "${1:-}" = -- ] && shift
[ ${#suites[@]} -gt 0 ] || suites=(lint unit model corpus schema sandbox integration identity scenario browser matrix)

for suite in "${suites[@]}"; do
  case $suite in
    lint | unit | model | corpus | schema) ;;
    identity | matrix) ensure_rabbitmq || exit 1 ;;
    integration | scenario) ensure_rabbitmq && ensure_node || exit 1 ;;
    browser) ensure_chromium || exit 1 ;;
    sandbox) ensure_node && ensure_davmail && ensure_curl || exit 1 ;;
    *) echo "No such suite: $suite (there are: lint unit model corpus schema sandbox integration identity scenario browser matrix)" >&2; exit 2 ;;
  esac
done

venv=${BRIDGE_VENV:-.venv}
ensure_environment "$venv" tests/requirements.txt || exit 1
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable . || exit 1
export PATH="$PWD/$venv/bin:$PATH"
unset BRIDGE_CONFIG
# Several thousand processes load the bridge; the first one compiles it for all.
unset PYTHONDONTWRITEBYTECODE

shared=${BRIDGE_SHARED:-$PWD/../shared}
export BRIDGE_SHARED=$shared
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
# Every request to every sandbox of the run is kept with its answers, and validated at the end where the official schema
# is at hand (three forms that Exchange uses against its schema are put right before: tests/schema/official.py).
export BRIDGE_SANDBOX_RECORD=$results/answers
failed=() not_run=() lines=()

run() { # name, command...
  local name=$1 started=$SECONDS status=0 seconds
  shift
  printf '\n== %s\n' "$name"
  "$@" || status=$?
  [ $status -eq 0 ] || failed+=("$name")
  seconds=$(cat "$results/$name.seconds" 2>/dev/null) || seconds=$((SECONDS - started))
  lines+=("$(printf '%-12s %-6s %4d s' "$name" "$([ $status -eq 0 ] && echo ok || echo FAILED)" "$seconds")")
}

pytests() { # name, pytest arguments...
  local name=$1
  shift
  printf '%s\n' "$@" "${extra[@]}" >"$results/$name.arguments"
  python -m pytest -q -o cache_dir="$results/$name.cache" --junitxml="$results/$name.xml" "$@" "${extra[@]}"
  local status=$?
  echo $status >"$results/$name.exit"
  return $status
}

tests() { # name, pytest arguments...
  if [ -f "$results/$1.pid" ]; then run "$1" ended "$1"; else run "$1" pytests "$@"; fi
}

beside() { # "name pytest-arguments..."...: begins these suites, one after the other, beside the next ones
  local suite name arguments todo=()
  for suite; do
    name=${suite%% *}
    [[ " ${suites[*]} " == *" $name "* && ! -e "$results/$name.xml" ]] && todo+=("$suite")
  done
  for suite in "${todo[@]}"; do
    local started=$SECONDS status=0
    name=${suite%% *}
    # What the others are about takes seconds; a cell of the matrix has a minute for what takes a moment.
    [ "$name" != matrix ] || renice -n 5 -p "$BASHPID" >/dev/null
    read -ra arguments <<<"$suite"
    pytests "${arguments[@]}" >"$results/$name.out" 2>&1 || status=$?
    echo $((SECONDS - started)) >"$results/$name.seconds"
    echo $status >"$results/$name.status"
  done </dev/null &
  for suite in "${todo[@]}"; do echo $! >"$results/${suite%% *}.pid"; done
}

ended() { # name: waits for tests that were begun beside others, and shows what they said
  wait "$(cat "$results/$1.pid")"
  cat "$results/$1.out"
  return "$(cat "$results/$1.status")"
}

needs_shared() { # suite, folders...: test data that a checkout alone does not have
  local suite=$1 folder
  shift
  for folder; do
    [ -d "$shared/$folder" ] && continue
    not_run+=("$suite (no $folder beside the checkout; BRIDGE_SHARED names another place)")
    return 1
  done
}

own_tests_of_exchangelib() { # sets `own`: they are named as not run where the mirrors have the source of another release
  local said status=0
  said=$(python -m tests.foreign.exchangelib.source 2>&1) || status=$?
  own=()
  [ $status -eq 3 ] || return 0
  own=(--ignore tests/foreign/exchangelib/test_own_tests.py)
  not_run+=("exchangelib ($said)")
}

lint() {
  ruff check . && ruff format --check bridge tests && mypy && lint-imports
}

extra=("$@")
# Most of a cell is waiting for heartbeats and time-outs, and a second of CPU.
matrix="-n 4 tests/matrix"
scenario="-n 2 tests/scenario"
identity="-n 3 -rP --show-capture=stdout tests/identity"
for suite in "${suites[@]}"; do
  case $suite in
    lint) run lint lint ;;
    # Half of its time is waiting for what takes its time.
    unit) tests unit -n 3 tests/unit ;;
    model) tests model -n 2 tests/model ;;
    corpus) needs_shared corpus corpus && tests corpus -n 2 tests/corpus ;;
    schema) needs_shared schema ews-schema ews-recordings && tests schema -n 2 tests/schema ;;
    # Foreign clients need no shared data; the comparison with recordings, and so the page made of both, does.
    # They use a sixth of the CPU; the longest files begin, of which one waits a minute for DavMail to look.
    sandbox)
      own_tests_of_exchangelib
      tests sandbox -n 3 --dist loadfile --no-loadscope-reorder tests/foreign "${own[@]}"
      needs_shared recordings ews-schema ews-recordings && tests recordings tests/recordings
      ;;
    # Each file goes to one process, the longest ones first (tests/conftest.py).
    # It leaves most of the CPU idle, one wait after the other; others have room beside it.
    integration)
      beside "scenario $scenario" "identity $identity"
      beside "matrix $matrix"
      tests integration -n 2 --dist loadfile --no-loadscope-reorder tests/integration tests/contract
      ;;
    # What each test is about is mostly waited for; -rP shows the figures that they print.
    identity) tests identity $identity ;;
    scenario) tests scenario $scenario ;;
    browser) tests browser -n 2 --dist loadfile tests/browser ;;
    matrix) tests matrix $matrix ;;
  esac
done

# One race among thousands of tests must not hold up a whole change: what failed runs once more, with nothing beside it.
# What passes then is named at the end as flaky, a defect to be fixed first of all; more than three of them fail the run.
most_flaky=3
python -m tests.support.flaky failed "$results" >"$results/failed" || exit 1
if [ -s "$results/failed" ] && [ "$(wc -l <"$results/failed")" -le 20 ]; then
  for name in $(cut -d' ' -f1 "$results/failed" | sort -u); do
    [ "$(cat "$results/$name.exit")" -eq 1 ] || continue # pytest itself failed
    printf '\n== %s once more, what failed alone\n' "$name"
    mapfile -t arguments <"$results/$name.arguments"
    python -m pytest -q -o cache_dir="$results/$name.cache" --last-failed --last-failed-no-failures none \
      "${arguments[@]}" -n 0 && touch "$results/$name.passed" &&
      lines+=("$(printf '%-12s %s' "$name" "all passed once what failed ran again alone")")
  done
  python -m tests.support.flaky failed "$results" >"$results/failed-twice" || exit 1
  LC_ALL=C comm -23 "$results/failed" "$results/failed-twice" >"$results/flaky"
  if [ "$(wc -l <"$results/flaky")" -le $most_flaky ]; then
    still=()
    for name in "${failed[@]}"; do [ -e "$results/$name.passed" ] || still+=("$name"); done
    failed=("${still[@]}")
  fi
fi

if [ -d "$BRIDGE_SANDBOX_RECORD" ] && needs_shared answers ews-schema; then
  run answers python tests/schema/official.py "$BRIDGE_SANDBOX_RECORD"
fi

printf '\n== Summary\n'
printf '%s\n' "${lines[@]}"
for name in "${not_run[@]}"; do printf '%-12s not run: %s\n' "${name%% *}" "${name#* }"; done
python -m tests.support.flaky summary "$results"
if [ ${#failed[@]} -gt 0 ]; then
  echo "Failed: ${failed[*]}"
  exit 1
fi
