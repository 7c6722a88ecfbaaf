# The whole study from a fresh machine. Each goal sets up what it needs, once.
#
#   make book    environment, quick study (minutes), HTML under _build/quick
#   make test    environment, linting, every test, every notebook at the smallest scale, the book without warnings
#   make full    the study at the paper's scale (hours; stop and start it at will), results into book/results
#   make clean   remove what was built; the environment and the data stay

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup book test full clean

# DGL writes a file into the home folder unless it is told its backend.
export DGLBACKEND := pytorch
export PIP_DISABLE_PIP_VERSION_CHECK := 1

VENV := .venv
RUN := $(VENV)/bin/python
# The environment is brought up to date when what it is made of has changed (by content, not by date) or has moved.
READY := $(VENV)/.ready-$(shell { pwd; cat requirements.lock pyproject.toml; } | cksum | cut -d' ' -f1)

help:
	@sed -n 's/^#   //p' Makefile

setup: $(READY)

$(READY):
	@$(RUN) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null \
	 || { python="$$(bash tools/find_python.sh)" && "$$python" -m venv --clear $(VENV); }
	$(RUN) -m pip install --quiet --requirement requirements.lock
	$(RUN) -m pip install --quiet --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/.ready-*
	@touch $@

book: $(READY)
	$(RUN) -m a2v_core study run --profile quick
	$(RUN) -m a2v_core study book --profile quick

test: $(READY)
	$(VENV)/bin/ruff check .
	$(RUN) -m pytest

full: $(READY)
	$(RUN) -m a2v_core study run --profile full
	$(RUN) -m a2v_core study book --profile full

clean:
	rm -rf _build .pytest_cache .ruff_cache .hypothesis
