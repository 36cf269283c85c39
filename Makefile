# Everything one does with redis-iot. `make help` lists it.

PORT ?= 6379
TIME ?= 60
FAULTS ?= 10
COMMANDS ?= 1000000
SHELL := /bin/bash
CARGO ?= cargo
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
MODULE := $(TARGET)/release/libredis_iot.so
VALKEY := $(TARGET)/valkey/usr/bin/valkey-server

.DEFAULT_GOAL := help
.PHONY: help needs setup build run demo migrate test test-matrix faults memcheck fuzz fuzz-keep hostile bench package package-test dist lint fmt fmt-check doc clean

help: ## Lists the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

needs:
	@bash .ci/setup "$(TARGET)"

setup: needs ## Installs what is missing: a server, libclang for the bindings; for tests Valkey, clients, a browser and an exporter.
	@bash .ci/clients "$(TARGET)"
	@bash .ci/browser "$(TARGET)"
	@bash .ci/exporter "$(TARGET)"

build: needs ## Builds the module with all optimisation.
	@$(CARGO) build --release --lib
	@echo "built $(MODULE)"

run: build ## Starts a server with the module in the foreground; PORT chooses its port.
	@if redis-cli -p $(PORT) PING >/dev/null 2>&1; then \
	  echo "port $(PORT) is taken by another server; try: make run PORT=6380"; exit 1; fi
	@mkdir -p "$(TARGET)/run"
	@printf '%s\n' 'redis-iot is starting. In another terminal, type or paste:' \
	  "  redis-cli -p $(PORT) IOT.ADD temp:1 '*' 21.5" \
	  "  redis-cli -p $(PORT) IOT.RANGE temp:1 - +" \
	  "  redis-cli -p $(PORT) IOT.INFO temp:1"
	@exec redis-server ./redis.conf.example --port $(PORT) --dir "$(TARGET)/run" \
	  --loadmodule "$(MODULE)"

demo: needs ## A city with vans: prints events as they come, and a page draws them; ARGS=--help lists options.
	@$(CARGO) build --release --lib --example demo
	@exec "$(TARGET)/release/examples/demo" $(ARGS)

migrate: needs ## Copies series from RedisTimeSeries: ARGS="--from URL --to URL"; ARGS=--help lists options.
	@$(CARGO) build --release --example migrate
	@exec "$(TARGET)/release/examples/migrate" $(ARGS)

test: setup ## Runs all tests against redis-server, and those of the server against Valkey too.
	@bash .ci/test "$(VALKEY)"

test-matrix: setup ## Runs the tests of the server against the newest Redis and Valkey, built from Debian's sources.
	@bash .ci/matrix "$(TARGET)"

faults: build ## Kills servers, fills disks, cuts links, FAULTS times as often as `make test`; prints the table of docs/operations.md.
	@bash .ci/faults "$(MODULE)" $(FAULTS)

memcheck: setup build ## Runs the tests of the server with each server under valgrind; FILES="commands ..." chooses some.
	@bash .ci/memcheck "$(TARGET)" "$(MODULE)" $(FILES)

fuzz: needs ## Feeds commands and decoders random bytes, TIME seconds for each target; needs a nightly toolchain.
	@bash .ci/fuzz "$(TARGET)" $(TIME)

fuzz-keep: needs ## Keeps of what fuzzing has found since what reaches new code, in fuzz/corpus.
	@bash .ci/fuzz "$(TARGET)" 0 keep

hostile: needs ## Attacks the release build with COMMANDS random commands of every kind; SEED chooses others.
	@$(CARGO) build --release --lib
	@IOT_MODULE="$(MODULE)" IOT_HOSTILE=$(COMMANDS) $(if $(SEED),IOT_HOSTILE_SEED=$(SEED)) \
	  $(CARGO) test --test server_hostile -- --nocapture

bench: needs ## Measures codec, series, index and server; prints tables.
	@$(CARGO) build --release --lib
	@$(CARGO) bench --bench codec
	@$(CARGO) bench --bench series
	@$(CARGO) bench --bench index
	@$(CARGO) bench --bench fences
	@$(CARGO) bench --bench fleet
	@$(CARGO) bench --bench server
	@$(CARGO) bench --bench attacks

package: needs ## Builds a Debian package in target/dist.
	@bash packaging/deb "$(TARGET)"

package-test: package ## Installs that package into a clean Debian, and starts servers with it.
	@bash .ci/package "$(TARGET)" "$(VALKEY)"

dist: package ## Builds a tarball too, and the checksums of both.
	@bash packaging/tarball "$(TARGET)"

lint: needs ## Clippy over everything, and the links in the documentation.
	@$(CARGO) clippy --all-targets -- -D warnings
	@RUSTDOCFLAGS="-D rustdoc::broken_intra_doc_links" $(CARGO) doc --no-deps --document-private-items --quiet

fmt: ## Formats the code.
	@$(CARGO) fmt

fmt-check: ## Fails if the code is not formatted.
	@$(CARGO) fmt --check

doc: needs ## Builds the documentation of the code.
	@$(CARGO) doc --no-deps --document-private-items

clean: ## Removes what was built.
	@$(CARGO) clean
