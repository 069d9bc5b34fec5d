# Everything here works on a machine with nothing but Python 3.11 or newer.
#   make setup   environment to run and develop in       make demo   the main job, once
#   make test    environment with the reference, then lint and all tests
#   make toy     the toy model from nothing, into runs/toy: hours on two cores; stopped
#                at any moment, the same command resumes

VENV ?= .venv
# The first of these that really runs and is new enough. 3.11 first: the reference
# for the parity tests is known to install there.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$p && break; done)
# Two processes, each file in one of them: what a file compiles serves all its tests.
PYTEST_ARGS ?= -n 2 --dist=loadfile --no-loadscope-reorder

# Where the toy model is trained, on what, and what else to tell each stage of it.
TOY ?= runs/toy
TOY_DATA ?= data/large
TOY_ARGS ?=

BIN := $(VENV)/bin
# uv does not read pip's settings; this hands it the folder of local wheels, if any.
UV = UV_FIND_LINKS="$${PIP_FIND_LINKS:-}" VIRTUAL_ENV="$(abspath $(VENV))" \
	$(BIN)/uv pip install --quiet

.PHONY: setup setup-train setup-test demo toy test lint format clean

setup: $(VENV)/.setup
setup-train: $(VENV)/.setup-train
setup-test: $(VENV)/.setup-test

$(BIN)/uv:
	@test -n "$(PYTHON)" || { \
	  echo "no Python 3.11 or newer found: install one, or name it by PYTHON=..."; \
	  exit 2; } >&2
	$(PYTHON) -m venv "$(VENV)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(VENV)/.setup: pyproject.toml | $(BIN)/uv
	$(UV) --editable '.[plot,web]'
	@touch "$@"

$(VENV)/.setup-train: pyproject.toml | $(BIN)/uv
	$(UV) --editable '.[train,plot,web]'
	@touch "$@"

# PyTorch and the sam2 package are what the parity tests compare with. Both are
# installed apart: this torch, then sam2 without the torchvision it asks for, built
# without CUDA and against the torch that is there.
$(VENV)/.setup-test: pyproject.toml | $(BIN)/uv
	@if $(UV) torch==2.13.0 setuptools wheel hydra-core iopath pillow tqdm \
	  && SAM2_BUILD_CUDA=0 $(UV) --no-build-isolation --no-deps sam2==1.1.0; then \
	  extras=train,web,port,plot,bench,test; \
	else \
	  echo "torch or sam2 cannot be installed here: parity is reported as skipped"; \
	  extras=train,web,plot,test; \
	fi; \
	$(UV) --editable ".[$$extras]"
	@touch "$@"

demo: setup
	$(BIN)/python tools/demo.py

# A stage leaves `.done` when it is over; one without it goes on where it was stopped.
# On a CPU: two virtual devices keep two cores busier than one does, and large pages
# save the clearing of small ones at each step (with glibc; elsewhere it says nothing).
toy: export XLA_FLAGS ?= --xla_force_host_platform_device_count=2
toy: export GLIBC_TUNABLES ?= glibc.malloc.hugetlb=1
TRAIN = $(BIN)/python -m c2g_jax.train --workdir="$(@D)" $(TOY_ARGS) \
	--config.data.dir="$(TOY_DATA)"

toy: $(TOY)/.done
	@echo "trained: $(TOY)/weights"

$(TOY_DATA)/toy_pvsg/.done: | setup-train
	$(BIN)/python -m c2g_jax.prepare --toy --toy_size=large \
	  --data_dir="$(TOY_DATA)"
	@touch "$@"

$(TOY)/encoder/.done: $(TOY_DATA)/toy_pvsg/.done
	$(TRAIN) --config=configs/sam2_toy.py:encoder
	@touch "$@"

$(TOY)/crops/.done: $(TOY)/encoder/.done
	$(TRAIN) --config=configs/sam2_toy.py:crops \
	  --config.sam2.checkpoint="$(TOY)/encoder/weights"
	@touch "$@"

$(TOY)/images/.done: $(TOY)/crops/.done
	$(TRAIN) --config=configs/sam2_toy.py:images \
	  --config.sam2.checkpoint="$(TOY)/crops/weights"
	@touch "$@"

$(TOY)/memory/.done: $(TOY)/images/.done
	$(TRAIN) --config=configs/sam2_toy.py:memory \
	  --config.sam2.checkpoint="$(TOY)/images/weights"
	@touch "$@"

$(TOY)/videos/.done: $(TOY)/memory/.done
	$(TRAIN) --config=configs/sam2_toy.py:videos \
	  --config.sam2.checkpoint="$(TOY)/memory/weights"
	@touch "$@"

$(TOY)/trained/.done: $(TOY)/videos/.done
	$(BIN)/python -m c2g_jax.train --workdir="$(TOY)" $(TOY_ARGS) \
	  --config.data.dir="$(TOY_DATA)" --config=configs/toy_pvsg.py \
	  --config.sam2.checkpoint="$(TOY)/videos/weights"
	@mkdir -p "$(@D)" && touch "$@"

$(TOY)/.done: $(TOY)/trained/.done
	$(BIN)/python -m c2g_jax.tune --checkpoint="$(TOY)/weights" \
	  --data_dir="$(TOY_DATA)" --output="$(TOY)/tuning"
	@touch "$@"

lint: setup-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

test: lint
	$(BIN)/python -m pytest $(PYTEST_ARGS)

format: setup-test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf "$(VENV)" .pytest_cache .ruff_cache
