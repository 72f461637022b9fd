# Two commands are enough: `make demo` shows the gate at work, `make test` proves it.
PYTHON ?= python3.11
SPEECH ?= ../shared/speech/manifest.csv
VENV := .venv
BIN := $(VENV)/bin
UV := uv==0.13.9
# A worker a core; a file stays on one worker, so that what it makes once is made once.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

.PHONY: setup demo test slow installs check mutants train ladder evaluate bench deb emulated-pi release peers homeassistant lock clean

setup: $(VENV)/.ready

$(VENV)/.ready: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "no $(PYTHON): install Python 3.11, or make PYTHON=python3.12 ..."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	touch $@

demo: setup
	$(BIN)/kaimen demo

# Says which tests took more than ten seconds: mend them, or mark them slow.
test: setup
	$(PYTEST) -m "not installs and not slow" --durations=10 --durations-min=10

# The rest: whole schools, trainings, power cuts.
slow: setup
	$(PYTEST) -m "slow and not installs"

# The wheel in an empty environment of every Python found here; needs the package index.
installs: setup
	$(BIN)/python -m pytest -m installs

# For every commit: linters, types, and tests of the rooms that differ from the branch main.
check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(PYTEST) -q -m "not installs and not slow" $$($(BIN)/python tests/touched.py)

# Changes the program a little, ten thousand times, and counts how often a test notices; a night.
# ARGUMENTS="--sample 100" tries 100 of each room, --again the survivors, --count none.
mutants: setup
	nice -n 5 $(BIN)/python tests/mutants.py $(ARGUMENTS)

# Both encoders, from recordings to the cards beside them; goes on after an interruption.
train: setup peers
	$(BIN)/kaimen-train fit $(SPEECH)
	cp build/large/encoder.weights.h5 training/kaimen_train/weights/large.weights.h5
	cp build/large/large.ranges.json training/kaimen_train/weights/large.ranges.json
	$(BIN)/kaimen-train export $(SPEECH)
	$(BIN)/kaimen-train fit --model small $(SPEECH)
	cp build/deep/encoder.weights.h5 training/kaimen_train/weights/deep.weights.h5
	$(BIN)/kaimen-train export --model small $(SPEECH)

# Every rung from the 39 features to the deep encoder, beside each other.
ladder: setup peers
	$(BIN)/kaimen-train ladder $(SPEECH) --figure docs/figures/ladder.svg

evaluate: setup
	$(BIN)/kaimen-train evaluate $(SPEECH)

bench: setup
	$(BIN)/kaimen bench

# The package for a Pi of Debian 12 (bookworm) or 13 (trixie); as root, ten minutes, later one.
SUITE ?= bookworm
ARCH ?= arm64
deb: setup
	deploy/deb/build.sh $(ARCH) $(SUITE)

# A Raspberry Pi in QEMU with Kaimen on it, and what its pin does; as root, an hour.
emulated-pi: setup
	deploy/emulated-pi/build.sh $(SUITE)
	$(BIN)/python deploy/emulated-pi/check.py --suite $(SUITE)

# All packages of a tag, signed and ready to be shown: TAG, KEY, URL and CONTACT; as root.
release: setup
	KEY="$(KEY)" URL="$(URL)" CONTACT="$(CONTACT)" deploy/release.sh "$(TAG)"

# GE2E and CAM++, teachers and peers to measure against, need torch: an environment of their own.
peers: .venv-peers/.ready

.venv-peers/.ready: training/kaimen_train/peers/requirements.txt training/kaimen_train/peers/without-dependencies.txt
	test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
		-r training/kaimen_train/peers/without-dependencies.txt
	touch $@

# Home Assistant's own schema, to hold what the bridge says against it, in an environment of its own.
homeassistant: .venv-homeassistant/.ready

.venv-homeassistant/.ready: tests/bridge/homeassistant/requirements.txt
	test -x .venv-homeassistant/bin/python || $(PYTHON) -m venv .venv-homeassistant
	.venv-homeassistant/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

LOCK := $(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --no-header --quiet -c deploy/deb/constraints.txt

lock: setup
	$(LOCK) --extra pi --extra train --extra litert --extra bench --extra cluster --extra release --extra bridge --extra notify --extra fleet --extra map --extra console --extra dev -o requirements.lock
	$(LOCK) --extra pi --extra fleet --extra bridge --extra console -c requirements.lock -o deploy/deb/requirements.lock
	$(BIN)/uv pip compile deploy/deb/compile.in --universal --generate-hashes --no-header --quiet \
		--python-version 3.11 -c requirements.lock -o deploy/deb/compile.lock

clean:
	rm -rf $(VENV) .venv-peers .venv-homeassistant build
