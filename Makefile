# Two commands are enough: `make demo` and `make test`. Both install their tools into .tools/ first.
SHELL := /bin/bash
TOOLS := .tools
# cargo-lambda looks for its linker, zig, in the Python environment that comes first on the PATH.
WITH_TOOLS := PATH="$$PWD/$(TOOLS)/sam/bin:$$PATH"

export SAM_CLI_TELEMETRY := 0
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help audit bench cdk demo fuzz test test-format test-clippy test-rust test-templates test-e2e lint generate lint-package build tools clean
.DEFAULT_GOAL := help

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build ## Deploy, use and delete everything in a local AWS; KEEP=1 leaves it running
	@KEEP="$(KEEP)" exec $(TOOLS)/sam/bin/python tools/demo.py

test: tools ## Run every check and every test
	@exec python3 tools/test.py

test-format: ## Check the formatting of the Rust code
	cargo fmt --check

test-clippy: ## Run clippy, warnings denied
	cargo clippy --locked --all-targets --all-features -- -D warnings

test-rust: ## Run the unit and integration tests
	cargo test --locked --all-features --no-fail-fast -- --show-output

test-templates: lint
lint: tools ## Check the templates, the documents and the release tools
	python3 tools/check_docs.py
	$(TOOLS)/sam/bin/python -m pytest -p no:cacheprovider -q tests/tools
	PYTHONPATH=lint $(TOOLS)/sam/bin/cfn-lint template.yaml examples/*.yaml examples/*/template.yaml \
	  --append-rules cfn_lint_cognito_m2m
	@for template in template.yaml examples/*.yaml examples/*/template.yaml; do \
	  echo "sam validate --lint --template $$template"; \
	  $(WITH_TOOLS) sam validate --lint --region us-east-1 --template "$$template" || exit; \
	done

# The examples have a local AWS of their own, so that the two halves can run side by side: most of it is waiting.
EXAMPLES := $(addprefix tests/e2e/test_,cdk.py consumers.py protected_api.py teams.py)
EXAMPLES_LOG := $(TOOLS)/run/examples.log
PYTEST := $(TOOLS)/sam/bin/python -m pytest -p no:cacheprovider -q $(PYTEST_ARGS)
test-e2e: build cdk ## Run the end-to-end tests: the built functions, m2mctl and the examples in a local AWS
	@# As `make test-rust` builds it, so that nothing is built twice.
	cargo test --quiet --locked --all-features --no-run --test m2mctl --example consumer
ifdef PYTEST_ARGS
	exec $(PYTEST) tests/e2e
else
	@mkdir -p $(dir $(EXAMPLES_LOG))
	@$(PYTEST) $(EXAMPLES) >$(EXAMPLES_LOG) 2>&1 & examples=$$!; \
	$(PYTEST) tests/e2e $(addprefix --ignore=,$(EXAMPLES)) & others=$$!; \
	trap 'kill $$examples $$others 2>/dev/null; wait; exit 143' INT TERM; \
	wait $$others; first=$$?; wait $$examples; second=$$?; cat $(EXAMPLES_LOG); [ $$first = 0 ] && [ $$second = 0 ]
endif

build: tools ## Build the functions with sam build; ARCHITECTURE=arm64 for Graviton
	@echo "Building the functions with sam build (several minutes the first time) ..."
	$(WITH_TOOLS) sam build $(if $(ARCHITECTURE),--parameter-overrides Architecture=$(ARCHITECTURE))

generate: ## Write the files that follow from the table of properties: for cfn-lint, and for the CDK library
	GENERATE=1 cargo test --locked --all-features --test it generated::
	python3 cdk/generate.py

# Beside the packages of the CDK library, with the same pinned tools.
lint-package: ## Pack the rules of cfn-lint as a Python wheel in cdk/dist/python
	@tools/install cdk
	$(TOOLS)/cdk/bin/python -m pip wheel --quiet --no-deps --no-build-isolation --disable-pip-version-check \
	  --wheel-dir cdk/dist/python ./lint
	rm -rf lint/build lint/*.egg-info

# The library's own tests need what is packed: the provider's template and the functions.
cdk: build ## Pack the CDK library with the built functions, and the rules of cfn-lint, into cdk/dist
	@tools/install cdk
	python3 cdk/generate.py --check
	python3 cdk/pack.py
	@$(MAKE) --no-print-directory lint-package
	@# One line as pytest writes it, for the sum of `make test`.
	cd cdk && PATH="$$PWD/../$(TOOLS)/cdk/bin:$$PATH" node --test --test-reporter=./test/reporter.mjs 'test/*.test.js'

tools:
	@tools/install

# As sam build does it, for this machine's processor.
BUILD_FUNCTIONS := cargo lambda build --locked --release $(if $(filter aarch64 arm64,$(shell uname -m)),--arm64)
bench: tools ## Measure what a deploy waits for; WRITE_RESULTS=1 puts the figures into docs/
	@echo "Building the functions and the benchmark (several minutes the first time) ..."
	$(WITH_TOOLS) $(BUILD_FUNCTIONS) --bin provider --bin rotation
	$(WITH_TOOLS) $(BUILD_FUNCTIONS) --example empty
	cargo bench --locked --profile dev --bench deploy -- target/lambda $(TOOLS)/sam/bin/python $(if $(WRITE_RESULTS),docs)

# Not a part of `make test`: the advisories come from the internet, and they change without a change here.
audit: ## Check the licenses, sources and known vulnerabilities of the dependencies (needs the internet)
	@tools/install audit
	PATH="$$PWD/$(TOOLS)/audit/bin:$$PATH" cargo deny --locked check

fuzz: ## Fuzz the parsers; FUZZ_SECONDS=600 for ten minutes each (needs a nightly compiler)
	@tools/fuzz $(or $(FUZZ_SECONDS),60)

clean: ## Remove everything that was built or installed here
	rm -rf .aws-sam target .tools examples/*/node_modules examples/*/*/node_modules examples/*/cdk.out \
	  $(addprefix cdk/,.jsii dist functions lib node_modules schemas)
