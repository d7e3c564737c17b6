# The commands of a working day. `make help` lists them.

.PHONY: help demo test soak bench fuzz lint audit servers browser

help: ## List these targets
	@sed -n 's/^\([a-z]*\):.*## /\1: /p' $(MAKEFILE_LIST)

demo: servers ## A private broker, a head office and three branches: one day in their life (ARGS="--keep")
	cargo build --release
	target/release/salesync demo $(ARGS)

# More at a time than there are cores: they wait for servers more than they compute.
test: browser ## Every test, against private servers (ARGS="-- name of a test")
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$(( $$(nproc) * 2 ))} cargo test $(ARGS)

soak: servers ## Days of chance for MINUTES=10: writes, kills, broken lines (SALESYNC_SEED=n repeats a life)
	SALESYNC_SOAK_MINUTES=$(or $(MINUTES),10) cargo test --test integration -- --nocapture --exact \
	    random_days::after_days_of_chance_nothing_is_lost_doubled_or_stuck

bench: servers ## Measure beside PostgreSQL's own means (ARGS="catch-up files", ROWS=100000, RUNS=1)
	cargo bench --bench performance -- --rows $(or $(ROWS),1000000) --runs $(or $(RUNS),3) $(ARGS)

fuzz: ## Feed mutated input to a TARGET (fuzz/README.md) for MINUTES=10; needs nightly Rust and cargo-fuzz
	mkdir -p fuzz/corpus/$(TARGET)
	cargo +nightly fuzz run --sanitizer none $(TARGET) fuzz/corpus/$(TARGET) \
	    $(or $(wildcard fuzz/seeds/$(TARGET)),tests/data/bundles/v1 tests/data/bundles/v1-signed) -- \
	    -max_total_time=$$((60 * $(or $(MINUTES),10))) -max_len=16384 -timeout=20 -rss_limit_mb=1024 -malloc_limit_mb=256

lint: ## Formatting and lints, as strict as the continuous integration
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings

audit: ## Known weaknesses, licences and sources of all dependencies (cargo deny, cargo audit)
	scripts/audit

servers: ## Install PostgreSQL and RabbitMQ if they are missing (Debian; asks sudo)
	@scripts/install-servers

browser: ## The same, and Chromium with its driver, for the tests of the page
	@scripts/install-servers --with-browser
