#!/usr/bin/env bash
# Keeps what is generated in step with what it is generated from.
#
# usage: scripts/generated.sh write    generate everything (takes clang), and record in bpf/generated.sum the sums of
#                                      the eBPF sources, of what was made from them, and which clang made it
#        scripts/generated.sh check    fail if something generated is not current
#
# Everything generated hangs on a go:generate directive. Those that run bpf2go take clang; the others (documents,
# schemas) take only Go. The check runs the others and compares. For eBPF it compares the sums, so it takes no clang;
# where the clang that made the committed objects is there, it makes them again and compares the bytes too.
set -euo pipefail
cd "$(dirname "$0")/.."
sum=bpf/generated.sum

clang_major() {
  type -P clang >/dev/null && clang --version | sed -nE '1s/.*version ([0-9]+).*/\1/p'
}

# bpf_sums: sums of every eBPF source, of the way it is compiled, and of every file that bpf2go wrote.
bpf_sums() {
  find bpf -type f \( -name '*.[ch]' -o -name cflags -o -name '*_bpfe[lb].go' -o -name '*_bpfe[lb].o' \) -print0 |
    LC_ALL=C sort -z | xargs -0r sha256sum
  {
    grep -rh --include='*.go' '^//go:generate' bpf
    grep -oE 'github.com/cilium/ebpf v\S+' go.mod
  } | sha256sum | sed 's/-$/go:generate and bpf2go/'
}

# tree_sums: sums of every file that git has or would take, to see what a generator changed.
tree_sums() {
  git ls-files -z --cached --others --exclude-standard | LC_ALL=C sort -zu | xargs -0r sha256sum 2>/dev/null || true
}

write() {
  go generate ./...
  if [[ -d bpf ]]; then
    { echo "# written by make generate, clang $(clang_major)"; bpf_sums; } >"$sum"
  fi
}

check() {
  local before after changed made_by
  if [[ -d bpf ]]; then
    if ! diff <(grep -v '^#' "$sum" 2>/dev/null) <(bpf_sums) >/dev/null; then
      echo "generated: an eBPF source or object differs from what bpf/generated.sum records: run make generate" >&2
      exit 1
    fi
    made_by=$(sed -nE '1s/.*clang ([0-9]+).*/\1/p' "$sum")
  fi
  before=$(tree_sums)
  if [[ -n ${made_by:-} && $(clang_major) == "$made_by" ]]; then
    go generate ./...
  else
    go generate -skip bpf2go ./...
  fi
  after=$(tree_sums)
  if [[ $before != "$after" ]]; then
    changed=$(diff <(echo "$before") <(echo "$after") | sed -nE 's/^[<>] \S+ +//p' | sort -u || true)
    printf 'generated: not current, and made again just now; commit them:\n%s\n' "$changed" >&2
    exit 1
  fi
}

case ${1:-} in
  write | check) "$1" ;;
  *) echo "usage: scripts/generated.sh write|check" >&2; exit 2 ;;
esac
