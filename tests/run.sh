#!/usr/bin/env bash
# Runs the tests. Installs what it needs, starts and stops its own broker, leaves a system broker alone.
#
#   tests/run.sh                 everything, fast checks first
#   tests/run.sh quick           before each commit: lint, units, contracts, and mail each way through everything
#   tests/run.sh unit            what needs no services
#   tests/run.sh SUITE... [-- PYTEST ARGUMENTS]
#   tests/run.sh [--jobs N] [--keep DIRECTORY] [SUITE...]
#                                for N cores in the place of those that there are; with what pytest reports of each suite
#                                left in a directory, of which python -m tests.support.costs makes a table
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
#   tests/run.sh matrix [-- --all] [-- --day N] [-- --all --real-heartbeats -k 'freeze or black-hole']
#                                the crash matrix: the choice of today, all of it, the choice of another day; with
#                                heartbeats as in production, and longer; by --realistic in a world as unkind as
#                                Exchange's, as soak by the same word
#
# What failed runs once more by itself at the end. What passes then is named as flaky; up to three such tests let the run
# pass all the same.
#
# Suites: lint unit contract model corpus schema sandbox integration identity scenario browser matrix
set -uo pipefail
cd "$(dirname "$0")/.."
source deploy/system.sh
venv=${BRIDGE_VENV:-.venv}

if [[ "${1:-}" =~ ^(stress|chaos|soak|mutation|sabotage|fuzz)$ ]]; then
  what=$1
  shift
  [ "$what" = stress ] || ensure_rabbitmq >&2 || exit 1
  ensure_environment "$venv" tests/requirements.txt >&2 || exit 1
  exec "$venv/bin/python" -m "tests.$what" "$@"
fi

every="lint unit contract model corpus schema sandbox integration identity scenario browser matrix"
suites=() jobs=$(nproc) keep=
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  case $1 in
    --jobs) jobs=${2:-} && shift ;;
    --keep) keep=${2:-} && shift ;;
    *) suites+=("$1") ;;
  esac
  shift
done
[ "${1:-}" = -- ] && shift
[[ "$jobs" =~ ^[1-9][0-9]*$ ]] || { echo "--jobs needs a number of cores" >&2; exit 2; }
[ ${#suites[@]} -gt 0 ] || read -ra suites <<<"$every"

for suite in "${suites[@]}"; do
  case $suite in
    lint | unit | model | corpus | schema) ;;
    quick | contract | identity | matrix) ensure_rabbitmq || exit 1 ;;
    integration | scenario) ensure_rabbitmq && ensure_node || exit 1 ;;
    browser) ensure_chromium || exit 1 ;;
    sandbox) ensure_node && ensure_davmail && ensure_curl || exit 1 ;;
    *) echo "No such suite: $suite (there are: quick $every)" >&2; exit 2 ;;
  esac
done

ensure_environment "$venv" tests/requirements.txt || exit 1
ensure_editable "$venv" || exit 1
export PATH="$PWD/$venv/bin:$PATH"
unset BRIDGE_CONFIG
# Several thousand processes load the bridge; the first one compiles it for all.
unset PYTHONDONTWRITEBYTECODE

shared=${BRIDGE_SHARED:-$PWD/../shared}
export BRIDGE_SHARED=$shared
# In memory where there is room: hundreds of brokers and sandboxes write theirs to disk at every step.
room=$(df --output=avail /dev/shm 2>/dev/null | tail -n 1)
results=$([ "${room:-0}" -gt 8000000 ] && mktemp -d -p /dev/shm || mktemp -d) || exit 1
export TMPDIR=$results
[ -z "$keep" ] || mkdir -p "$keep" || exit 1
# Every request to every sandbox of the run is kept with its answers, and validated at the end where the official schema
# is at hand (three forms that Exchange uses against its schema are put right before: tests/schema/official.py).
export BRIDGE_SANDBOX_RECORD=$results/answers
failed=() not_run=() lines=() groups=()
mkfifo "$results/ended"
exec 3<>"$results/ended"

# What runs has a process group of its own, so that a run that is interrupted ends all of it: first as Ctrl-C does, on
# which the tests stop what they started.
set -m
trap 'exit 130' INT
trap 'exit 143' TERM HUP
trap end_all EXIT

end_all() {
  trap '' INT TERM HUP
  touch "$results/over"
  local group tries
  for group in "${groups[@]}"; do kill -INT -- "-$group" 2>/dev/null; done
  for group in "${groups[@]}"; do
    for tries in {1..600}; do
      kill -0 -- "-$group" 2>/dev/null || break
      [ "$tries" -lt 600 ] || kill -KILL -- "-$group" 2>/dev/null
      sleep 0.1
    done
  done
  [ -z "$keep" ] || cp "$results"/*.xml "$results"/*.seconds "$keep" 2>/dev/null
  rm -rf "$results"
}

processes() { # as many processes as a suite uses on two cores, on those that there are
  local count=$(($1 * jobs / 2))
  echo $((count > 0 ? count : 1))
}

pytests() { # name, pytest arguments...
  local name=$1
  shift
  printf '%s\n' "$@" "${extra[@]}" >"$results/$name.arguments"
  python -m pytest -q -o cache_dir="$results/$name.cache" -o tmp_path_retention_policy=failed \
    --basetemp="$results/$name" --junitxml="$results/$name.xml" "$@" "${extra[@]}"
}

lint() {
  ruff check . && ruff format --check bridge tests && mypy && lint-imports
}

# What each suite runs. Most of a cell of the matrix is waiting for heartbeats and time-outs, and a second of CPU. Where
# each file goes to one process, the longest ones are first (tests/conftest.py).
suite() { # name
  case $1 in
    lint) lint ;;
    quick) pytests quick -n "$(processes 3)" tests/unit tests/contract tests/scenario/test_realistic.py ;;
    unit) pytests unit -n "$(processes 2)" tests/unit ;;
    contract) pytests contract -n "$(processes 2)" tests/contract ;;
    model) pytests model -n "$(processes 2)" tests/model ;;
    corpus) pytests corpus -n "$(processes 2)" tests/corpus ;;
    schema) pytests schema -n "$(processes 2)" tests/schema ;;
    sandbox)
      pytests sandbox -n "$(processes 3)" --dist loadfile --no-loadscope-reorder tests/foreign "${own[@]}"
      ;;
    recordings) pytests recordings tests/recordings ;;
    integration)
      pytests integration -n "$(processes 3)" --dist loadfile --no-loadscope-reorder tests/integration
      ;;
    # -rP shows the figures that they print.
    identity) pytests identity -n "$(processes 3)" -rP --show-capture=stdout tests/identity ;;
    scenario) pytests scenario -n "$(processes 2)" tests/scenario ;;
    browser) pytests browser -n "$(processes 2)" --dist loadfile tests/browser ;;
    matrix) pytests matrix -n "$(processes 3)" tests/matrix ;;
  esac
}

chain() { # niceness, suites...: runs them one after the other beside the other chains; of those that are wanted
  local niceness=$1 name
  shift
  local todo=()
  for name; do [ -z "${wanted[$name]:-}" ] || todo+=("$name"); done
  [ ${#todo[@]} -gt 0 ] || return 0
  (
    renice -n "$niceness" -p "$BASHPID" >/dev/null
    for name in "${todo[@]}"; do
      [ ! -e "$results/over" ] || exit 1
      started=$SECONDS status=0
      suite "$name" >"$results/$name.out" 2>&1 || status=$?
      echo $((SECONDS - started)) >"$results/$name.seconds"
      echo $status >"$results/$name.exit"
      echo "$name" >&3
    done
  ) </dev/null &
  groups+=($!)
  ran+=("${todo[@]}")
}

await() { # waits for the chains, and shows what each suite said as soon as it has ended
  local name status
  while [ ${#ran[@]} -gt 0 ]; do
    if ! read -r -t 5 -u 3 name; then
      [ -z "$(jobs -pr)" ] || continue
      read -r -t 0.1 -u 3 name || { failed+=("${ran[@]}"); echo "Ended by somebody: ${ran[*]}" >&2; break; }
    fi
    status=$(cat "$results/$name.exit")
    printf '\n== %s\n' "$name"
    cat "$results/$name.out"
    [ "$status" -eq 0 ] || failed+=("$name")
    lines+=("$(printf '%-12s %-6s %4d s' "$name" "$([ "$status" -eq 0 ] && echo ok || echo FAILED)" \
      "$(cat "$results/$name.seconds")")")
    read -ra ran <<<"$(printf '%s\n' "${ran[@]}" | grep -vx "$name" | tr '\n' ' ')"
  done
  ran=()
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
  [ $status -eq 3 ] || return 0
  own=(--ignore tests/foreign/exchangelib/test_own_tests.py)
  not_run+=("exchangelib ($said)")
}

extra=("$@") own=() ran=()
declare -A wanted
for name in "${suites[@]}"; do
  case $name in
    quick) wanted[lint]=1 wanted[quick]=1 ;;
    corpus) needs_shared corpus corpus && wanted[corpus]=1 ;;
    schema) needs_shared schema ews-schema ews-recordings && wanted[schema]=1 ;;
    # Foreign clients need no shared data; the comparison with recordings, and so the page made of both, does.
    sandbox)
      own_tests_of_exchangelib
      wanted[sandbox]=1
      needs_shared recordings ews-schema ews-recordings && wanted[recordings]=1
      ;;
    *) wanted[$name]=1 ;;
  esac
done

# Fast checks first, then what waits most of its time beside what computes, which leaves the CPU to the others.
chain 0 lint
chain 0 unit quick
await
chain 0 integration contract
chain 0 scenario identity
chain 5 model schema corpus sandbox recordings browser matrix
await

# One race among thousands of tests must not hold up a whole change: what failed runs once more, with nothing beside it.
# What passes then is named at the end as flaky, a defect to be fixed first of all; more than three of them fail the run.
most_flaky=3
python -m tests.support.flaky failed "$results" >"$results/failed" || exit 1
if [ -s "$results/failed" ] && [ "$(wc -l <"$results/failed")" -le 20 ]; then
  for name in $(cut -d' ' -f1 "$results/failed" | sort -u); do
    [ "$(cat "$results/$name.exit")" -eq 1 ] || continue # pytest itself failed
    printf '\n== %s once more, what failed alone\n' "$name"
    mapfile -t arguments <"$results/$name.arguments"
    python -m pytest -q -o cache_dir="$results/$name.cache" --basetemp="$results/$name" --last-failed --last-failed-no-failures none \
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
  printf '\n== answers\n'
  python tests/schema/official.py "$BRIDGE_SANDBOX_RECORD" || failed+=(answers)
fi

printf '\n== Summary\n'
printf '%s\n' "${lines[@]}"
printf '%-12s        %4d s\n' together "$SECONDS"
for name in "${not_run[@]}"; do printf '%-12s not run: %s\n' "${name%% *}" "${name#* }"; done
python -m tests.support.flaky summary "$results"
if [ ${#failed[@]} -gt 0 ]; then
  echo "Failed: ${failed[*]}"
  exit 1
fi
