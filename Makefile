# The two commands of the README. Both set up whatever they need.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin

.PHONY: demo test check bench clean

demo: $(VENV)/.base
	@mkdir -p out
	$(BIN)/bitwright eval fmnist-cnn --data fashion-mnist-sample --report out/demo.html

test: $(VENV)/.dev
	scripts/system-packages test
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/pytest -n 2  # tests look for nextpnr-ecp5 on PATH

check: $(VENV)/.dev
	BITWRIGHT_VENV=$(VENV) scripts/check

bench: $(VENV)/.dev
	benchmarks/peers/setup
	$(BIN)/python benchmarks/native_conv.py
	$(BIN)/python benchmarks/native_network.py

$(VENV)/bin/pip:
	scripts/system-packages venv
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: $(VENV)/bin/pip pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/bin/pip pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,onnx,eda,dev]'
	@touch $@ $(VENV)/.base

clean:
	rm -rf $(VENV) out build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
