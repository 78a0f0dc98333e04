# evenkeel: `make study` runs the default study in a fresh environment; `make test` everything that is tested.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN = $(VENV)/bin
# A CPU build of torch from elsewhere: make setup TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
# make setup EXTRAS=dev,oracle adds TRL for the tests that compare with it
EXTRAS ?= dev
STUDY ?= microworld
RUN ?= runs/microworld
N ?= 1
ONE_THREAD = OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

.PHONY: setup study test test-kill smoke-text lint types screenshots wheel clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch \
		$(if $(TORCH_INDEX),--index-url $(TORCH_INDEX) --extra-index-url https://pypi.org/simple)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --editable ".[$(EXTRAS)]"
	touch $@

study: setup
	$(BIN)/evenkeel study $(STUDY)

# Two processes of one thread each; who is done first takes over what the other has left.
test: setup
	$(ONE_THREAD) $(BIN)/python -m pytest -n 2 --dist worksteal --durations 12

# Kills the nano study N times at random moments of every stage, main and worker processes alike.
test-kill: setup
	$(ONE_THREAD) EVENKEEL_KILLS=$(N) $(BIN)/python -m pytest -m kill

# A study on text from base to report with a tiny model and a judge that goes by rules.
smoke-text: setup
	$(ONE_THREAD) $(BIN)/python scripts/smoke_text.py

lint: setup
	$(BIN)/ruff check src tests scripts benchmarks
	$(BIN)/ruff format --check src tests scripts benchmarks

types: setup
	$(BIN)/mypy

screenshots: setup
	$(BIN)/python scripts/screenshots.py $(RUN) docs/images

wheel: setup
	rm -rf build dist
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
