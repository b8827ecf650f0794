# `make demo` and `make test` need Python 3.11 or newer and nothing of ours: each makes .venv and fills it first.

MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:
.PHONY: demo rules test test-frameworks test-spark stack check bench bench-quality soak install clean

BIN := .venv/bin
# As pip does: a company's own certificates are the system's.
export UV_SYSTEM_CERTS ?= 1
# Tests start hundreds of processes: none has to compile what another has.
unexport PYTHONDONTWRITEBYTECODE
# The processes that share the tests out write a set the same way, another at every run.
export PYTHONHASHSEED ?= $(shell od -An -N2 -tu2 /dev/urandom | tr -d ' ')
# Most tests wait, for processes or for a clock: there is room for more of them than there are cores.
JOBS ?= 4
SAY := @printf 'driftline: %s\n'

demo: .venv/.demo
	@$(BIN)/driftline demo $(if $(KEEP),--keep)

test: .venv/.dev
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal --ignore=tests/benchmarks $(ARGS)

# Needs Java 17 or newer; Spark and its pandas have an environment of their own.
test-spark: .venv/.spark
	@.venv/spark/bin/python -m pytest tests/spark $(ARGS)

# Prometheus and Alertmanager as Debian has them and as they are today, and a Collector: cached, once.
stack: .venv/.dev
	@$(BIN)/python tests/built.py

# Boosters and ONNX Runtime, of today and older; PyTorch; Keras: environments of 1, 1, 5 and 2 GB, cached, once.
test-frameworks: .venv/.dev
	@$(BIN)/python tests/frameworks/environments.py $(FRAMEWORKS)

# make rules FORM=starter OUT=folder: only what pages. FORM=vmalert: for one that knows no keep_firing_for.
rules: .venv/.dev
	@$(BIN)/python alert-rules/variants.py $(or $(FORM),starter) $(or $(OUT),alert-rules-$(or $(FORM),starter))

bench: .venv/.dev
	@$(BIN)/python -m pytest tests/benchmarks --ignore=tests/benchmarks/test_detection.py -p no:randomly -q -rA $(ARGS)

# How often drift is told for nothing, and how much of it is found, beside other tools: a quarter of an hour.
bench-quality: .venv/.dev
	@$(BIN)/python -m pytest tests/benchmarks/test_detection.py -p no:randomly -q -s $(ARGS)

# How many minutes, and at what share of what one core can count.
soak: .venv/.dev
	@MINUTES=$(or $(MINUTES),30) SHARE=$(or $(SHARE),0.5) $(BIN)/python -m pytest tests/load -k soak -q -s $(ARGS)

check: .venv/.dev
	$(SAY) 'ruff format'
	@$(BIN)/ruff format --check -q src tests
	$(SAY) 'ruff check'
	@$(BIN)/ruff check -q src tests
	$(SAY) 'mypy --strict'
	@$(BIN)/mypy --no-error-summary
	$(SAY) 'import-linter'
	@$(BIN)/lint-imports --no-cache > .venv/lint-imports.txt || { cat .venv/lint-imports.txt; exit 1; }
	$(SAY) 'promtool, amtool'
	@promtool=$$($(BIN)/python -m driftline.cli.binaries promtool) || exit $${DRIFTLINE_REQUIRE_STACK:-0}; \
	amtool=$$($(BIN)/python -m driftline.cli.binaries amtool) || exit $${DRIFTLINE_REQUIRE_STACK:-0}; \
	{ $$promtool check rules alert-rules/recording/*.yml alert-rules/alerting/*.yml && $$amtool check-config alert-rules/alertmanager/*.yml; } \
		> .venv/promtool.txt 2>&1 || { cat .venv/promtool.txt; exit 1; }
	@! command -v pint > /dev/null || { printf 'driftline: pint\n'; pint lint --fail-on warning alert-rules/recording alert-rules/alerting; }

install: .venv/.dev
	@:

clean:
	@rm -rf .venv

# What is in .venv, and from which pyproject.toml: a second run costs nothing.
.venv/.demo: pyproject.toml | .venv/bin/python
	$(SAY) 'installing driftline and what the demo needs into .venv (a minute or two, once)'
	@$(call pip,-e '.[demo]')
	@touch $@

.venv/.dev: pyproject.toml | .venv/bin/python
	$(SAY) 'installing driftline, what the demo needs and the tools into .venv (a minute or two, once)'
	@$(call pip,-e '.[demo$(comma)sdk$(comma)auto$(comma)report]' --group dev)
	@touch $@ .venv/.demo

.venv/.spark: pyproject.toml | .venv/bin/python
	$(SAY) 'installing driftline and Spark into .venv/spark (a minute or more, once)'
	@$(BIN)/python -m venv --without-pip .venv/spark
	@$(call pip,-e '.[baseline]' --group test --group spark,.venv/spark/bin/python)
	@touch $@

.venv/bin/python:
	@sh .ci/venv

comma := ,
# Debian's pip is too old for --group: .ci/venv has renewed it. uv is used where it is present.
pip = if command -v uv > /dev/null; then uv pip install -q --compile-bytecode --python $(or $(2),$(BIN)/python) $(1); \
	else $(BIN)/python -m pip $(addprefix --python ,$(2)) install -q --disable-pip-version-check $(1); fi
