# Every target works from a bare checkout: it makes .venv and installs into it first.
# PYTHON chooses the interpreter (3.11 to 3.13); ARGS goes to pytest, e.g. make test ARGS="tests/equations -x".
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
EXTRAS := data,contrib,text,tune,video,gpu,dev,docs
WORKERS ?= 2

# Several tests run at a time; more torch threads than cores would slow them all. A file stays on one worker, so that what its
# tests share is made once; files are taken in their order, in which the longest come early.
test test-slow test-lowest check: export OMP_NUM_THREADS ?= 1

# What the lowest versions are tested by: physics against Gymnasium, files, generators' states, one training of each kind.
LOWEST := tests/sim/test_margins.py tests/envs/test_parity.py tests/runs/test_checkpoint.py tests/runs/test_rng.py \
	tests/runs/test_doctor.py tests/agents/test_doctor_command.py tests/sb3/test_load.py tests/data/test_npz_formats.py \
	tests/data/test_hdf5_formats.py tests/data/test_foreign_formats.py tests/agents/test_train_rl.py

.PHONY: install demo test test-slow test-lowest lint types docs check kill-test fuzz
.DEFAULT_GOAL := install

install: $(INSTALLED)

demo: $(INSTALLED)
	$(BIN)/rlgen demo

test: $(INSTALLED)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

# The slowest tests (SLOW in tests/conftest.py), which `make test` leaves out.
test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -n $(WORKERS) -m slow $(ARGS)

test-lowest: .venv-lowest/.installed
	.venv-lowest/bin/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS) $(LOWEST)

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/codespell

types: $(INSTALLED)
	$(BIN)/mypy

# Into site/. A warning is an error. Nothing is fetched.
docs: export NO_MKDOCS_2_WARNING = 1
docs: $(INSTALLED)
	$(BIN)/python -m mkdocs build --strict

# The figure counts what the tests run in their own process, not the trainings that they start in others. Python 3.12
# and later count lines at hardly any cost (sys.monitoring).
check: export COVERAGE_CORE = $(shell $(BIN)/python -c 'import sys; print("sysmon" if sys.version_info >= (3, 12) else "ctrace")')
check: lint types docs
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --cov --cov-report= $(ARGS)
	@echo "coverage: $$($(BIN)/python -m coverage report --format=total) % of the lines"

# Kills trainings at MOMENTS random moments, and compares what is resumed with the undisturbed, bit for bit.
kill-test: export OMP_NUM_THREADS = 1
kill-test: $(INSTALLED)
	$(BIN)/python -m tests.kills --moments $(or $(MOMENTS),100) $(ARGS)

# Uses CASES damaged files of every format; make fuzz ARGS="--format pairs --seed 1" does others.
fuzz: export OMP_NUM_THREADS = 1
fuzz: $(INSTALLED)
	$(BIN)/python -m tests.fuzz --cases $(or $(CASES),10000) $(ARGS)

# The stamp is newer than what it was installed from, so a second `make` starts at once.
$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[$(EXTRAS)]"
	touch $@

.venv-lowest/.installed: pyproject.toml constraints-lowest.txt
	test -x .venv-lowest/bin/python || $(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --constraint constraints-lowest.txt --editable ".[data,contrib,video,dev]"
	touch $@
