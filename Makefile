# Every target sets up what it needs first; the environment is made anew when the pins change.
VENV ?= .venv
PYTHON ?= python3
PROFILE ?= full
PY := $(VENV)/bin/python
# Two workers with one thread each: threads that wait for one another cost more than they bring.
PYTEST := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist worksteal

.PHONY: setup sweep demo paper notebook test test-fast lint types clean

setup: $(VENV)/.ready

$(VENV)/.ready: constraints.txt pyproject.toml scripts/setup.sh
	VENV="$(VENV)" PYTHON="$(PYTHON)" bash scripts/setup.sh

sweep: setup
	$(PY) -m dpsynth sweep experiments/demo.toml --profile $(PROFILE) --out results/demo-$(PROFILE)

demo: sweep
	$(PY) -m dpsynth report results/demo-$(PROFILE) --out results/demo-$(PROFILE)/report

paper: sweep
	$(PY) scripts/build_paper.py results/demo-$(PROFILE)

notebook: setup
	$(PY) scripts/run_notebooks.py

lint: setup
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: setup
	$(VENV)/bin/pyright --pythonpath $(PY)

test: lint types
	$(PYTEST)

test-fast: setup
	$(PY) -m ruff check .
	$(PYTEST) -m "not slow"

clean:
	rm -rf $(VENV) results paper/generated .pytest_cache .ruff_cache
