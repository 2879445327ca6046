#!/usr/bin/env bash
# Runs the tests, phase by phase, goes on after a failure, and closes with a summary. Exit status 0 only if every
# phase passed.
#
# usage: scripts/test.sh [PHASE...]
#   unit         all tests but the privileged ones, race detector on, packages in parallel
#   privileged   TestPrivileged... and the seeds of FuzzPrivileged...: they take root, run without the race detector
#                (some measure loss and latency), and never from the cache (what they start is not among what the cache
#                looks at). Those of testenv and cmd have labs and hosts, and go one package at a time; the others two at
#                a time. Not root: left out, and the summary says so.
#   full         without the race detector, at full size, what is smaller with it: 100,000 random requests, 64 clients
#                that allocate 10,000 addresses, 200 kills of the store's writer during a stream of writes
#   verify       new random networks and packets through the compiled flows for VERIFYTIME (default 60s), 5,000 of the
#                packets through Open vSwitch, and 20 walks from network to network; what differs says how to repeat it
#   fuzz         each fuzz target for FUZZTIME (default 10s), two at a time
# FUZZTIME=10m FUZZ=FuzzDecodeFlowMod scripts/test.sh fuzz    runs only the targets whose name matches FUZZ
set -euo pipefail
cd "$(dirname "$0")/.."

fuzztime=${FUZZTIME:-10s}
log=$(mktemp)
said=$(mktemp) # what failed tests said, in short
trap 'rm -f "$log" "$said"' EXIT
summary=()
failed=0
takes_root='^(Test|Fuzz)Privileged'
export OPENVNET_PRIVILEGED_TESTS=1 # what make deps installs is there: a test that misses a program fails

# digest: of go test's output, the names of what failed, each with the beginnings of the first 20 lines that it logged: the whole is far above, and long.
digest() {
  awk '/^ *--- FAIL|^FAIL\t|^panic:|^WARNING: DATA RACE/ { print; n = 0 }
    /^ +[a-z0-9_]+\.go:[0-9]+: / && n++ < 20 { print substr($0, 1, 200) }'
}

# gotest NAME ARGS...: go test with its output shown, one line for the summary.
gotest() {
  local name=$1 start=$SECONDS status=0
  shift
  printf '\n== %s: go test %s\n' "$name" "$*"
  go test -vet=off "$@" 2>&1 | tee "$log" || status=1 # make lint vets
  if ((status)); then
    failed=1
    digest <"$log" >>"$said"
  fi
  summary+=("$(printf '%-10s  %3d packages ok, %d failed  %4d s' "$name" \
    "$(grep -c '^ok ' "$log")" "$(grep -cE '^FAIL\s+\S' "$log")" $((SECONDS - start)))")
}

# packages_with PATTERN: the folders, as ./path, whose test files have a line that matches.
packages_with() {
  grep -rlE --include='*_test.go' "$1" . | xargs -r -n1 dirname | sort -u
}

unit() {
  gotest unit -race -skip "$takes_root" ./...
}

privileged() {
  local labs others
  mapfile -t labs < <(packages_with "^func ${takes_root#^}" | grep -E '^\./(testenv|cmd)/')
  mapfile -t others < <(packages_with "^func ${takes_root#^}" | grep -vE '^\./(testenv|cmd)/')
  if ((EUID != 0)); then
    summary+=("$(printf '%-10s  LEFT OUT: takes root; sudo make test-privileged' privileged)")
    return
  fi
  gotest privileged -p 2 -count 1 -timeout 15m -run "$takes_root" "${others[@]}"
  gotest labs -p 1 -count 1 -timeout 15m -run "$takes_root" "${labs[@]}"
}

full() {
  STORE_TEST_KILLS=200 gotest full -count 1 -p 1 -timeout 15m -run '^(TestKill|TestRandomRequests|TestConcurrentAllocation|TestApplyTenThousandInterfaces)$' ./store ./manager/api ./manager/app
}

verify() {
  local start=$SECONDS status=0
  printf '\n== verify: %s\n' "${VERIFYTIME:-60s}"
  go run ./cmd/vnlab verify --time "${VERIFYTIME:-60s}" --real 5000 --walks 20 2>&1 | tee "$log" || status=1
  ((status)) && failed=1
  summary+=("$(printf '%-10s  %s   %4d s' verify "$(grep -E '^(cases|seed) ' "$log" | tr '\n' ' ')" $((SECONDS - start)))")
}

# fuzz_one FOLDER TARGET OUT: go test ends now and then with "context deadline exceeded" when its time is over, with no
# failing input (golang/go#75804, Go before 1.27); only then it is tried once more. OUT gets what it says, of a failure
# when it is one.
fuzz_one() {
  local run=(go test -vet=off -run '^$' -fuzz "^$2\$" -fuzztime "$fuzztime" -fuzzminimizetime 5s -parallel "$workers" "$1") try
  printf '\n== fuzz: %s in %s, %s\n' "$2" "$1" "$fuzztime" >"$3"
  for try in 1 2; do
    "${run[@]}" >"$3.try" 2>&1 </dev/null && cat "$3.try" >>"$3" && return
    sed -E '/^(--- )?FAIL/d' "$3.try" >>"$3"
    if ((try > 1)) || ! grep -q 'context deadline exceeded' "$3.try" || grep -q 'Failing input written' "$3.try"; then
      grep -E '^(--- )?FAIL' "$3.try" >>"$3"
      return 1
    fi
    echo "fuzz: $2: its time was over in mid-run, no failing input: once more" >>"$3"
  done
}

# fuzz_lane N OF: each OF-th target from the N-th on, of those on standard input.
fuzz_lane() {
  local lane=$1 n=0 folder target
  while IFS=: read -r folder target; do
    ((n++ % $2 == lane)) || continue
    if fuzz_one "$folder" "$target" "$dir/said.$lane"; then echo "ok $target"; else echo "bad $target"; fi >>"$dir/results.$lane"
    cat "$dir/said.$lane"
  done
}

# fuzz runs two targets at a time, each with half of the cores.
fuzz() {
  local start=$SECONDS left_out dir workers bad
  ((EUID == 0)) || left_out=:FuzzPrivileged
  dir=$(mktemp -d)
  workers=$(($(nproc) > 3 ? $(nproc) / 2 : 1))
  grep -rhoE --with-filename --include='*_test.go' '^func Fuzz\w+' . |
    sed -E 's#/[^/]+:func #:#' | sort | grep -E ":.*${FUZZ:-}" | grep -vE "${left_out:-^$}" >"$dir/targets"
  fuzz_lane 0 2 <"$dir/targets" &
  fuzz_lane 1 2 <"$dir/targets"
  wait
  bad=$(sed -n 's/^bad //p' "$dir"/results.* | tr '\n' ' ')
  [[ -z $bad ]] || failed=1
  summary+=("$(printf '%-10s  %3d targets ok, %d failed   %4d s%s' fuzz "$(grep -ch '^ok' "$dir"/results.* | awk '{n += $1} END {print n}')" \
    "$(wc -w <<<"$bad")" $((SECONDS - start)) "${bad:+  failed: $bad}")")
  rm -rf "$dir"
}

for phase in "${@:-}"; do
  case ${phase:-all} in
    unit | privileged | full | verify | fuzz) "$phase" ;;
    all) unit; privileged; full; verify; fuzz ;;
    *) echo "test: no phase '$phase'; there are: unit privileged full verify fuzz" >&2; exit 2 ;;
  esac
done

if [[ -s $said ]]; then
  printf '\n== what failed, in short\n'
  cat "$said"
fi
printf '\n== summary\n'
printf '%s\n' "${summary[@]}"
((failed)) && echo "FAILED" || echo "PASSED"
exit $failed
