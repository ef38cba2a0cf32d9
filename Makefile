# The commands of everyday work. `make` alone lists them.

SHELL := bash
# Where tests/install finds or puts cargo on a machine that had none.
export PATH := $(PATH):$(HOME)/.cargo/bin
ARGS ?=
BENCH ?= ../shared/bench/compare

.DEFAULT_GOAL := help
.PHONY: help run test unit e2e conformance build lint bench install

help: ## List the targets
	@grep -hE '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "make %-12s %s\n", $$1, $$2}'

run: ## Build and start a server; more arguments in ARGS="--http 127.0.0.1:8080"
	@tests/install rust
	cargo build --release -p wharf-server
	./target/release/wharf serve $(ARGS)

# The clients are tried also when a test of the crates has failed: one run shows everything that is wrong.
test: install ## Install what the tests need and run all of them
	@status=0; for part in unit e2e; do $(MAKE) --no-print-directory $$part || status=1; done; exit $$status

install: ## Install what the tests need, on Debian 12
	tests/install

# The store suite runs on SQLite and on PostgreSQL: a private server, gone afterwards.
unit: ## The tests of the crates, on both databases
	tests/postgres cargo test --workspace --no-fail-fast

e2e: build ## Real clients against a real server; a few only with ONLY="docker oras"
	tests/run $(ONLY)

conformance: build ## The OCI conformance tests alone
	tests/conformance/run

# The server as `cargo test` builds it: built by itself, it and half its dependencies would have other features and be
# compiled once more.
build:
	cargo test --workspace --no-run --quiet

lint: ## Formatting, clippy and documentation, all without warnings
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps

# Compares with other registries. The program lives outside the repository: see its own README for what it measures.
bench: ## Measure against other registries; where the program is: BENCH=...
	@[ -x "$(BENCH)" ] || { echo "no benchmark at $(BENCH): give its place in BENCH=..." >&2; exit 1; }
	cargo build --release -p wharf-server
	WHARF="$(CURDIR)/target/release/wharf" "$(BENCH)" $(ARGS)
