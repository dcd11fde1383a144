# Everything a developer or CI does. `make` alone lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help python venv debian weights both-readers demo check test chaos hostile soak attribution cluster-test image-test scale bench bench-gate bench-plain pictures report-times first-run corpus-scale soak-real lint dictionary constraints clean

NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))'
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell $(name) $(NEW_ENOUGH) 2>/dev/null && command -v $(name))))
BIN := .venv/bin
LEAN := .venv/installed
LEAN_EXTRAS := demo,duckdb,s3
STAMP := .venv/installed-dev
EXTRAS := dev,embed,$(LEAN_EXTRAS)
CONSTRAINTS := cluster/constraints.txt
OVERRIDES := cluster/overrides.txt
# TORCH=cpu takes torch's builds without CUDA (from their own index; other values as in uv's --torch-backend).
TORCH ?=

# GB of disk that an installation needs; pip, where uv cannot be had, takes 1.5 more. ROOM_GB=0 leaves the check out.
ROOM_GB ?= $(if $(filter cpu,$(TORCH)),4,8)

# Fails before anything is fetched, rather than after gigabytes. An environment that is merely brought up to date needs no such room, and what
# an interrupted installation has written counts.
define room
	@[[ -e $@ ]] || { \
	  has=$$(df -Pk . | awk 'NR == 2 { print $$4 }'); \
	  [[ ! -d .venv ]] || has=$$((has + $$(du -sk .venv | cut -f1))); \
	  awk -v has="$$has" -v needed="$(ROOM_GB)" -v place="$(CURDIR)" 'BEGIN { free = has * 1024 / 1e9; if (free >= needed) exit 0; \
	    printf "%s GB of disk are needed for .venv, and %.1f GB are free in %s: free some, or pass ROOM_GB=0 to try nevertheless\n", \
	      needed, free, place; exit 1 }' >&2; }
endef

# `call install` with a list of extras: with uv where it can be had, without what overrides.txt names; else with pip, which takes 1.5 GB more.
define install
	@if [[ -x $(BIN)/uv ]] && $(BIN)/uv pip install --python $(BIN)/python -c $(CONSTRAINTS) --overrides $(OVERRIDES) \
	  $(if $(TORCH),--torch-backend $(TORCH)) -e .[$(1)] xgboost-cpu; then :; \
	else echo "installing with pip"; $(BIN)/python -m pip install -c $(CONSTRAINTS) -e .[$(1)]; fi
endef

# A Python built elsewhere may look for certificates where this system keeps none.
SYSTEM_CERTIFICATES := /etc/ssl/certs/ca-certificates.crt
ifeq ($(SSL_CERT_FILE),)
ifneq ($(wildcard $(SYSTEM_CERTIFICATES)),)
export SSL_CERT_FILE := $(SYSTEM_CERTIFICATES)
endif
endif

# Weights that no registry carries, where a developer keeps them beside the checkout.
SHARED_WEIGHTS := $(abspath ../shared/weights)
ifeq ($(RUMIAI_WEIGHTS_DIR),)
ifneq ($(wildcard $(SHARED_WEIGHTS)),)
test bench bench-gate bench-plain soak-real: export RUMIAI_WEIGHTS_DIR := $(SHARED_WEIGHTS)
endif
endif

python: # for .ci/run
	@echo $(PYTHON)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(STAMP) ## make .venv with everything at the tested versions (7.3 GB; TORCH=cpu for torch without CUDA)

$(LEAN): pyproject.toml $(CONSTRAINTS) $(OVERRIDES)
	@[[ -n "$(PYTHON)" ]] || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python" >&2; exit 1; }
	$(room)
	$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet uv || echo "uv could not be installed; pip installs the packages instead, which takes minutes longer"
	$(call install,$(LEAN_EXTRAS))
	@# Every actor of every run imports these; uncompiled (PYTHONDONTWRITEBYTECODE is set on many a machine) a start took twice as long.
	@$(BIN)/python -m compileall -q -j 0 .venv/lib >/dev/null || true
	@touch $@

$(STAMP): $(LEAN)
	$(call install,$(EXTRAS))
	@$(BIN)/python -m compileall -q -j 0 .venv/lib >/dev/null || true
	@touch $@

weights: $(LEAN) ## fetch the weights of the profile `offline` into the user's cache (206 MB)
	$(BIN)/rumiai-ray weights fetch --profile offline

both-readers: weights # and those of the other text reader (98 MB), which tests and benchmarks load and no demo
	$(BIN)/rumiai-ray weights fetch --profile offline --models ocr --ocr-engine easyocr

debian: # the shared libraries that no wheel brings: first of all, so that nobody waits minutes to be told of them
	@[[ -z "$(PYTHON)" ]] || $(PYTHON) -m rumiai_ray.cli.doctor --install-debian-packages

demo: debian weights ## make a clip, analyse it, show the tables and the path of a report
	$(BIN)/rumiai-ray demo

check: lint ## lint, then the tests that need neither Ray nor weights (two minutes)
	$(BIN)/python tests/run_tiers.py unit $(PYTEST_ARGS)

test: debian $(STAMP) both-readers ## run the whole test suite, tier by tier: unit, ray (beside it long and models), acceptance
	$(BIN)/python tests/run_tiers.py $(PYTEST_ARGS)

chaos: $(STAMP) ## run the kill matrix (half an hour; CHAOS_SEED repeats one)
	$(BIN)/python -m pytest tests/chaos $(PYTEST_ARGS)

hostile: $(STAMP) ## malformed files, damaged runs, bad origins, fuzzing (15 minutes; HOSTILE_ARGS="--seed N --case NAME" repeats one, --quick)
	@$(BIN)/python -c 'import atheris' 2>/dev/null || { echo "atheris is needed: $(BIN)/python -m pip install -c $(CONSTRAINTS) atheris" >&2; exit 2; }
	$(BIN)/python tests/hostile/run.py $(HOSTILE_ARGS)

soak: $(STAMP) ## analyse 500 small clips while processes are killed at random (10 minutes)
	$(BIN)/python -m pytest tests/soak/test_soak.py -s $(PYTEST_ARGS)

cluster-test: $(STAMP) ## nodes that come and go: the autoscaler, and a batch whose nodes leave without notice (25 minutes)
	$(BIN)/python -m pytest tests/cluster tests/soak/test_cpu_nodes.py tests/soak/test_spot.py -s $(PYTEST_ARGS)

image-test: $(STAMP) ## carry out the Dockerfile in a Debian root, without Docker, and try the product in it (root, debootstrap, 20 GB)
	PYTHONPATH=tests/support $(BIN)/python tests/cluster/build_image.py build/image $(IMAGE_ARGS)

MEDIA ?= ../shared/media
BENCH := build/bench

attribution: $(STAMP) ## 2,000 numbered clips in batches of random shape while processes are killed (an hour)
	$(BIN)/python -m pytest tests/soak/test_attribution.py -s $(PYTEST_ARGS)

corpus-scale: $(STAMP) ## questions to 1,000 runs of made rows, 100,000 videos: time and memory of each
	$(BIN)/python tests/soak/corpus_scale.py --runs 1000 --videos 100

scale: $(STAMP) ## 100,000 videos that cost nothing: what the driver spends on each (an hour)
	$(BIN)/python tests/soak/run_scale.py --videos 100000

$(BENCH)/clips/clips.txt: $(STAMP) tests/benchmarks/cut_clips.py
	$(BIN)/python tests/benchmarks/cut_clips.py $(MEDIA) $(BENCH)/clips

pictures: $(STAMP) weights ## take the picture of the report that README shows, of a new demo run (needs chromium)
	rm -rf .pictures && mkdir .pictures
	cd .pictures && ../$(BIN)/rumiai-ray demo
	PYTHONPATH=tests/support $(BIN)/python tests/support/report_picture.py .pictures/*-report docs/report.webp
	rm -rf .pictures

bench: $(STAMP) both-readers $(BENCH)/clips/clips.txt ## measure the engine beside its models alone, then beside the plain script, on clips cut from MEDIA
	$(BIN)/python jobs/bench.py --manifest $(BENCH)/clips/clips.txt --profile offline --store $(BENCH)/store \
	  --report $(BENCH)/bench.json $(BENCH_ARGS)
	$(MAKE) bench-plain

bench-plain: $(STAMP) both-readers $(BENCH)/clips/clips.txt ## the second half of `bench`: README's table, this project beside the plain script (12 minutes)
	PYTHONPATH=.:tests/support $(BIN)/python tests/benchmarks/beside_plain.py $(BENCH)/clips/clips.txt $(BENCH)/plain $(PLAIN_ARGS)

bench-gate: $(STAMP) both-readers $(BENCH)/clips/clips.txt ## CPU-seconds a clip of each model against the committed baseline; fails with the name of what grew
	PYTHONPATH=.:tests/support $(BIN)/python tests/benchmarks/gate.py $(BENCH)/clips/clips.txt tests/benchmarks/gate_baseline.json $(GATE_ARGS)

report-times: $(STAMP) ## how long each page of REPORT (a directory that `rumiai-ray report` wrote) takes to open in headless Chromium
	PYTHONPATH=tests/support $(BIN)/python tests/benchmarks/open_report.py $(REPORT)

first-run: ## what a stranger's first commands print and cost, on this machine without its Debian packages (root, overlayfs, 12 GB)
	python3 tests/benchmarks/first_run.py build/first-run $(FIRST_RUN_ARGS)

soak-real: $(STAMP) weights ## every video of MEDIA three times in one batch; results equal to one-by-one runs
	PYTHONPATH=.:tests/support $(BIN)/python tests/soak/real.py $(MEDIA) build/soak-real $(SOAK_ARGS)

lint: $(STAMP) ## check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

dictionary: $(STAMP) ## write rumiai_ray/schema/README.md, the data dictionary, from the schemas
	$(BIN)/rumiai-ray schema --markdown > .venv/dictionary.md
	mv .venv/dictionary.md rumiai_ray/schema/README.md

constraints: $(STAMP) ## write cluster/constraints.txt from what .venv holds
	{ sed -n '/^#/p' $(CONSTRAINTS); $(BIN)/python -m pip freeze --all --exclude-editable | grep -vE '^(pip|uv)=='; } > .venv/constraints.txt
	mv .venv/constraints.txt $(CONSTRAINTS)
	@touch $(LEAN) $(STAMP)

clean: ## remove .venv, caches and build products; runs and weights stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
