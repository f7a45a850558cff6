# make demo   segments a phantom, or your CT: CT=path make demo   (SERIES=..., DEVICE=cpu|cuda, OUTPUT=folder)
# make app    opens the tool in a browser, on your CT where one is named: CT=path make app
# make screenshots  takes the pictures of the README anew (Chromium needed)
# make test   style, import rules, types, tests
# make quick  the same with those tests that need no process, browser or server
# make coverage  which lines of models/ and network/ their tests run; at least 95 % of them
# make clean  removes .venv and everything that was built

PYTHON ?= python3
# One exact version, so that everybody runs the same network; another build or index: TORCH="torch --index-url ..."
TORCH ?= torch==2.13.0
OUTPUT ?= demo-output

VENV := .venv
BIN := $(VENV)/bin
PACKAGES := $(VENV)/packages
INSTALLED := $(VENV)/installed

# What is never imported need not be compiled either: nearly half of an installation's time.
PIP_INSTALL := $(BIN)/pip install --disable-pip-version-check --no-compile -q

# What VTK loads at run time to draw without a display (it crashes where one of them is missing); only the picture
# needs it. Whether it can draw is what the scene package finds out by drawing in a process of its own.
RENDERING_PACKAGES := libegl1 libgl1-mesa-dri libx11-6
CAN_RENDER := from AttentionUNetSegLib.scene.overview.offscreen import require_offscreen_rendering as probe; probe()

# The browser of the tests and the screenshots; without it those tests are skipped.
HAS_CHROMIUM := command -v chromium || command -v chromium-browser || command -v google-chrome

# A validator of DICOM objects, and a PACS, for the tests only; without them those that need one are skipped.
HAS_DICOM_TOOLS := command -v dciodvfy && command -v Orthanc
DICOM_TOOLS := dicom3tools orthanc orthanc-dicomweb
CAN_APT := test "$$(id -u)" = 0 && command -v apt-get

export TORCH SERIES DEVICE OUTPUT

# Tests start hundreds of processes: each would compile this package anew where nothing may be kept.
unexport PYTHONDONTWRITEBYTECODE

# A file of tests goes to one worker as a whole; Testing/longest_first.py says which files come first. Four workers for
# two cores: those that drive a browser or wait for processes leave theirs idle for a third of the time. With five
# nothing is faster, and what waits for a network of two threads takes so long that time limits are reached.
BY_FILE := --dist loadfile --no-loadscope-reorder
QUICK_TESTS := $(addprefix Testing/,project models network measure correction imaging)

.PHONY: demo app screenshots test quick quick-tests all-tests test-programs coverage import-rules style types clean

demo: $(INSTALLED)
	@set -e; \
	if [ -z "$$CT" ]; then \
		echo "No CT given (CT=path make demo): segmenting a synthetic one."; \
		CT="$$OUTPUT/phantom.nrrd"; \
		$(BIN)/attention-unet-seg phantom "$$CT"; \
	fi; \
	set -- segment "$$CT" -o "$$OUTPUT"; \
	if [ -n "$$SERIES" ]; then set -- "$$@" --series "$$SERIES"; fi; \
	if [ "$$OUTPUT" = demo-output ]; then set -- "$$@" --force; fi; \
	if [ -n "$$DEVICE" ]; then set -- "$$@" --device "$$DEVICE"; fi; \
	$(BIN)/attention-unet-seg "$$@"; \
	picture=$$(ls -t "$$OUTPUT"/*_overview.png 2>/dev/null | head -n 1); \
	if [ -z "$$picture" ]; then :; \
	elif [ "$$(uname)" = Darwin ]; then open "$$picture"; \
	elif [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] && command -v xdg-open >/dev/null; then xdg-open "$$picture"; \
	else echo "See the picture: $$picture"; fi

app: $(INSTALLED)
	@set -e; \
	set -- serve; \
	if [ -n "$$CT" ]; then set -- "$$@" "$$CT"; fi; \
	if [ -n "$$SERIES" ]; then set -- "$$@" --series "$$SERIES"; fi; \
	$(BIN)/attention-unet-seg "$$@"

screenshots: $(INSTALLED) test-programs
	$(BIN)/python Testing/web/take_screenshots.py Resources/Screenshots

# Several things at a time: pip and apt-get; then, once the style is right, the import rules, the types, which take a
# minute where nothing is cached, and the tests, for which it is first found out whether VTK can draw here.
test: $(BIN)/pip
	$(MAKE) -j 2 $(PACKAGES) test-programs
	$(MAKE) style
	$(MAKE) -j 3 import-rules types all-tests
	@echo "All checks passed: style, import rules, types, tests."

# First one process compiles what the workers would each compile for themselves.
all-tests: $(INSTALLED)
	@$(BIN)/python -m pytest --collect-only -q >/dev/null || true
	$(BIN)/python -m pytest -n 4 $(BY_FILE)

test-programs:
	@if [ "$$(uname)" != Linux ] || { { $(HAS_DICOM_TOOLS); } && { $(HAS_CHROMIUM); }; } >/dev/null; then :; \
	elif $(CAN_APT) >/dev/null && apt-get update -q && apt-get install -q -y chromium && \
		apt-get install -q -y --no-install-recommends $(DICOM_TOOLS); then :; \
	else echo "Warning: the tests of the page and those against a PACS are skipped: on Debian, install chromium $(DICOM_TOOLS)"; fi

quick: $(INSTALLED)
	$(MAKE) -j 3 import-rules types quick-tests
	@echo "The quick checks passed; make test runs the others."

quick-tests:
	$(BIN)/python -m pytest -n 2 $(BY_FILE) $(QUICK_TESTS)

# Not a part of make test: it makes tests a third to a half slower.
coverage: $(INSTALLED)
	$(BIN)/python -m pytest Testing/models Testing/network --cov=AttentionUNetSegLib.models \
		--cov=AttentionUNetSegLib.network --cov-report=term-missing:skip-covered --cov-fail-under=95

import-rules: style
	$(BIN)/lint-imports

style:
	$(BIN)/ruff check AttentionUNetSeg Testing research
	$(BIN)/ruff format --check -q AttentionUNetSeg Testing research

types:
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build dist demo-output AttentionUNetSeg/*.egg-info .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis .coverage

$(BIN)/pip:
	@command -v "$(PYTHON)" >/dev/null || \
		{ echo "Python 3.10 or newer is needed, and '$(PYTHON)' was not found. Install it, or name it: make PYTHON=..."; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "Python 3.10 or newer is needed, and $$($(PYTHON) --version) was found. Name another: make PYTHON=python3.12"; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip' 2>/dev/null || \
		{ $(CAN_APT) >/dev/null && apt-get update -q && apt-get install -q -y python3-venv; } || \
		{ echo "Python's venv module is missing. On Debian and Ubuntu: sudo apt-get install python3-venv"; exit 1; }
	@"$(PYTHON)" -m venv $(VENV)

$(PACKAGES): pyproject.toml setup.py | $(BIN)/pip
	set -f; $(PIP_INSTALL) $$TORCH
	$(PIP_INSTALL) -e '.[standalone,train,cohort,test,dicom]' || { \
		$(PIP_INSTALL) -e '.[standalone,train,cohort,test]' && \
		echo "Warning: DICOM SEG and SR cannot be written: highdicom could not be installed for this Python (see above)"; }
	@touch $@

$(INSTALLED): $(PACKAGES)
	@if [ "$$(uname)" = Linux ] && ! $(BIN)/python -c '$(CAN_RENDER)' 2>/dev/null; then \
		{ $(CAN_APT) >/dev/null && apt-get update -q && apt-get install -q -y $(RENDERING_PACKAGES); } || \
		echo "Warning: results will have no picture: VTK needs OpenGL (EGL). On Debian and Ubuntu: sudo apt-get install $(RENDERING_PACKAGES)"; \
	fi
	@touch $@
