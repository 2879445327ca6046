# `make help` lists the targets. Nothing has to be installed by hand but Go, git and make: every target that calls a
# program of another package calls scripts/deps.sh first, which does nothing when all is there.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL: # two benchmarks at once would measure each other, also with make -j

PREFIX   ?= /usr/local
FUZZTIME ?= 10s
CASES    ?= 100000
REAL     ?= 2000
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null)
LDFLAGS  := -X github.com/openvnet/openvnet/internal/version.linked=$(VERSION)

export FUZZTIME

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: deps
deps: ## install, with apt, the programs that are missing
	@scripts/deps.sh

.PHONY: build
build: deps ## build vnmgr, vna, vnctl and vnlab into bin/
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

.PHONY: install
install: build ## copy bin/ to PREFIX/bin (/usr/local/bin), below DESTDIR if set
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 0755 bin/* $(DESTDIR)$(PREFIX)/bin/

.PHONY: generate
generate: ## regenerate everything: eBPF objects (takes clang), documents
	@scripts/deps.sh generate
	scripts/generated.sh write

.PHONY: docs
docs: ## regenerate what needs no clang: the generated documents
	go generate -skip bpf2go ./...

.PHONY: lint
lint: ## formatting, linters, shell scripts, generated files current
	@scripts/deps.sh lint
	go tool -modfile=scripts/tools/go.mod golangci-lint run
	git ls-files -z --cached --others --exclude-standard '*.sh' .ci/run | xargs -0 shellcheck
	scripts/generated.sh check

.PHONY: test
test: build ## all tests: unit with race detector, privileged when root, a minute of new random networks, each fuzz target for FUZZTIME
	@scripts/deps.sh test
	@scripts/test.sh

.PHONY: test-unit
test-unit: ## only the tests that take no root, with the race detector
	@scripts/deps.sh test
	@scripts/test.sh unit

.PHONY: test-privileged
test-privileged: build ## only the tests that take root: namespaces, switches, eBPF
	@scripts/test.sh privileged

.PHONY: test-kernel
test-kernel: build ## tests of the kernel datapath, on Debian's stock kernel in an emulated machine; KERNEL_TESTS=regexp chooses
	@scripts/deps.sh kernel test
	@scripts/kernel.sh '$(KERNEL_TESTS)'

.PHONY: fuzz
fuzz: ## only the fuzz targets, each for FUZZTIME; FUZZ=regexp chooses
	@scripts/test.sh fuzz

.PHONY: verify
verify: build ## random networks and packets against the oracle; CASES=N, REAL=N through Open vSwitch as well, SEED=N to repeat
	@bin/vnlab verify --cases $(CASES) --real $(REAL) $(if $(SEED),--seed $(SEED))

.PHONY: demo
demo: build ## three hosts, eight guests, two tenants with the same subnet, measured; DEMO_KEEP=1 leaves it up
	bin/vnlab demo

.PHONY: bench
bench: bench-arp bench-bringup bench-api bench-flows bench-forward bench-apply bench-punt bench-services ## all benchmarks, into out/bench (docs/benchmarks.md); BENCH_FLAGS are added to each

.PHONY: bench-arp
bench-arp: build ## ARP answered by eBPF, by a flow, by a controller
	bin/vnlab bench arp $(BENCH_FLAGS)

.PHONY: bench-bringup
bench-bringup: build ## one more interface with 100 and with 1,000 on three hosts
	bin/vnlab bench bringup $(BENCH_FLAGS)

.PHONY: bench-api
bench-api: build ## the manager with 10,000 and 100,000 interfaces: requests, cold start, fan-out to 1,000 agents
	bin/vnlab bench api $(BENCH_FLAGS)

.PHONY: bench-flows
bench-flows: build ## what large networks cost one host: flows, bytes, time to compile, memory
	bin/vnlab bench flows $(BENCH_FLAGS)

.PHONY: bench-forward
bench-forward: build ## throughput, packets per second and latency of each transport, beside a Linux bridge and kernel VXLAN
	bin/vnlab bench forward $(BENCH_FLAGS)

.PHONY: bench-apply
bench-apply: build ## restarts of the agent and of ovs-vswitchd with 1,000 and 200,000 flows under traffic
	bin/vnlab bench apply $(BENCH_FLAGS)

.PHONY: bench-punt
bench-punt: build ## what guests notice of one that floods its host's services with 100,000 frames a second of each kind
	bin/vnlab bench punt $(BENCH_FLAGS)

.PHONY: bench-services
bench-services: build ## DHCP, router advertisements, names and metadata for one guest and for 200, beside dnsmasq
	bin/vnlab bench services $(BENCH_FLAGS)

.PHONY: clean
clean: ## remove bin/ and out/
	rm -rf bin out
