# make demo   grow, kill 30%, regrow, build, prove: from a fresh clone, nothing installed by hand
# make test   the whole suite: lint, types, layers, tests
# make quick  the tests alone, without the slow ones

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml setup.py $(shell find nca_hw sim firmware_templates boards build_backend -type f -not -path '*/__pycache__/*' -not -name '_cell.*' -not -name '_rollout.c*')

.PHONY: demo test quick lint clean

$(BIN)/pip:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip

# The package is installed as its users install it, not in place: what the tests see is what the wheel holds.
$(VENV)/installed: $(BIN)/pip $(SOURCES)
	$(BIN)/pip install --quiet .
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(BIN)/pip install --quiet '.[test]'
	@touch $@

demo: $(VENV)/installed
	$(BIN)/nca-hw simulate --grid 40x40 --kill 30% --report out/demo
	$(BIN)/nca-hw build --board rp2040 -o out/rp2040
	$(BIN)/nca-hw verify --board rp2040
	@echo
	@echo 'The lizard, grown, killed and regrown:  out/demo/contact.png, out/demo/grid.webp'
	@echo 'The firmware for a Raspberry Pi Pico:   out/rp2040/nca-hw.uf2'

# From another folder, so that the installed package is checked and not the sources beside it.
lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	cd tests && ../$(BIN)/mypy -p nca_hw --config-file ../pyproject.toml --cache-dir ../.mypy_cache
	cd tests && ../$(BIN)/lint-imports --config ../pyproject.toml --no-cache

test: lint
	$(BIN)/pytest -n auto

quick: $(VENV)/installed-test
	$(BIN)/pytest -n auto -m 'not slow'

clean:
	rm -rf $(VENV) out build .mypy_cache .ruff_cache .pytest_cache .hypothesis
