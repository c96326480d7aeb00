# Every target works from a bare checkout: it makes .venv and installs into it first.
# PYTHON chooses the interpreter (3.11 to 3.13); ARGS goes to pytest, e.g. make test ARGS="tests/equations -x".
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
EXTRAS := data,contrib,video,gpu,dev
WORKERS ?= 2

# Several tests run at a time; more torch threads than cores would slow them all.
test check: export OMP_NUM_THREADS ?= 1

.PHONY: install demo test check kill-test
.DEFAULT_GOAL := install

install: $(INSTALLED)

demo: $(INSTALLED)
	$(BIN)/rlgen demo

test: $(INSTALLED)
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

check: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

# Kills trainings at MOMENTS random moments, and compares what is resumed with the undisturbed, bit for bit.
kill-test: export OMP_NUM_THREADS = 1
kill-test: $(INSTALLED)
	$(BIN)/python -m tests.kills --moments $(or $(MOMENTS),100) $(ARGS)

# The stamp is newer than what it was installed from, so a second `make` starts at once.
$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[$(EXTRAS)]"
	touch $@
