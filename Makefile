# Every target makes what it needs: `make demo` and `make test` are all the set-up there is.
PYTHON ?= python3
BIN := .venv/bin
export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/.cache/jax
# glibc returns large buffers to the system and faults them in again at every step; large pages cut
# that by 99 %, and a training step of the U-Net (128², batch 8) from 1.05 to 0.83 s. With one arena
# that holds for large buffers of all threads (core/malloc.py).
export GLIBC_TUNABLES ?= glibc.malloc.hugetlb=1:glibc.malloc.arena_max=1

# Tests start hundreds of processes that import the same modules: let Python keep what it compiled.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install radiomics demo test test-slow check peers parity bench reference format clean

install: .venv/.installed

.venv/.installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

# Apart from the rest, for its one package is built with a C compiler.
.venv/.radiomics: .venv/.installed
	$(BIN)/python -m pip install --quiet --editable '.[radiomics]'
	touch $@

radiomics: .venv/.radiomics

demo: install
	$(BIN)/s4c demo --out out/demo

# A file stays on one process (loadfile), so that what is made for a whole file is made once; so do
# all contracts (tests/conftest.py).
test: install radiomics
	$(BIN)/python -m pytest -m "not (parity or slow or e2e)" -n 2 --dist loadfile --no-loadscope-reorder

# What is slow by nature: whole commands as processes of their own, 100,000 files, fuzzing, several
# devices, hosts and worker processes, campaigns of kills.
test-slow: install radiomics
	$(BIN)/python -m pytest -m "(slow or e2e) and not parity" -n 2 --dist loadfile --no-loadscope-reorder

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/python -m pytest -q tests/test_architecture.py tests/test_config_addresses.py

.venv/.peers: .venv/.installed
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet --editable '.[peers]'
# nnU-Net's networks; what they depend on beside PyTorch is for their transformers alone.
	$(BIN)/python -m pip install --quiet --no-deps 'dynamic-network-architectures>=0.4,<0.5'
# nnU-Net's augmentation, and what it imports; it asks for its predecessor, which it does not use.
	$(BIN)/python -m pip install --quiet --no-deps 'batchgeneratorsv2>=0.3.6,<0.4'
	$(BIN)/python -m pip install --quiet 'pandas<4' 'scikit-image<1'
# nnU-Net 2 and 1.7 themselves, and what they import; what else they ask for is for other networks
# and other files.
	$(BIN)/python -m pip install --quiet --no-deps 'nnunetv2>=2.8,<2.9' 'nnunet==1.7.1' \
	  'acvl-utils>=0.2.6,<0.3' 'batchgenerators>=0.25.1,<0.26'
	$(BIN)/python -m pip install --quiet 'blosc2>=3.3.2,<5' 'scikit-learn<2' 'seaborn<1'
# ConvexAdam; of what it depends on, SimpleITK alone is not there yet.
	$(BIN)/python -m pip install --quiet --no-deps 'convexadam==0.2.0' 'simpleitk>=2.5,<3'
# Readers of DICOM-SEG and of CT, and more real files to read.
	$(BIN)/python -m pip install --quiet --no-deps 'dcmqi>=1.5,<2' 'pydicom-data==1.0.0'
# DeLong's test; what it asks for is there already.
	$(BIN)/python -m pip install --quiet --no-deps 'mlstatkit==0.1.91'
	touch $@

peers: .venv/.peers

parity: peers
	$(BIN)/python -m pytest -m parity

bench: peers
	$(BIN)/python -m benchmarks --suite cpu

# A page for every room and package, from their docstrings: docs/reference/README.md lists them.
reference: install
	$(BIN)/python docs/reference.py

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .cache build dist *.egg-info
