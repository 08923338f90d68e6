# Everything from nothing on Debian 12 and 13: each target installs what is missing, builds in Release, and does its work.
BUILD  ?= build
PREFIX ?= /usr/local
JOBS   ?= $(shell nproc)
ROOT   ?= $(BUILD)-debian13

.PHONY: run test test-long test-debian13 format lint tidy coverage program build configure install packages

run: program
	$(BUILD)/backplane run experiments/fashion_mnist/mlp.yaml

test: build
	ctest --test-dir $(BUILD) --output-on-failure

# Hundreds of faults of each kind more: takes minutes.
test-long: build
	ctest --test-dir $(BUILD) --output-on-failure -C Long -L fault-long

# `make run` and `make test` of what is committed, in a root of Debian 13 of its own.
test-debian13:
	cmake/test-debian13.sh $(ROOT)

# The program and its plug-ins, a third of all that there is to build.
program: configure
	cmake --build $(BUILD) -j $(JOBS) --target backplane built_in_plugins

build: configure
	cmake --build $(BUILD) -j $(JOBS)

configure: packages
	@mkdir -p $(BUILD)
	@cmake --preset release -B $(BUILD) > $(BUILD)/configure.log 2>&1 || { cat $(BUILD)/configure.log; exit 1; }

install: build
	cmake --install $(BUILD) --prefix $(PREFIX)

# clang-format 14 (Debian 12's), on what has changed since FROM.
FROM ?= HEAD
format:
	@command -v clang-format-14 > /dev/null || apt-get install -qq clang-format-14
	git diff --name-only --diff-filter=d $(FROM) -- '*.cpp' '*.h' '*.hpp' | xargs -r clang-format-14 -i

# Shell scripts, the Python of the tests, and which folder includes which. RUFF is fetched where it is not there.
RUFF ?= $(BUILD)/lint/bin/ruff
lint: configure
	@command -v shellcheck > /dev/null || apt-get install -qq shellcheck
	shellcheck cmake/*.sh .ci/run
	@test -x $(RUFF) || { apt-get install -qq python3-venv && python3 -m venv $(BUILD)/lint && \
	  $(BUILD)/lint/bin/pip install -q ruff==0.17.6; }
	$(RUFF) check .
	ctest --test-dir $(BUILD) --output-on-failure -L structure

# clang-tidy 14 (.clang-tidy) and what mutexes guard, over the whole framework: takes minutes.
tidy: packages
	@command -v clang-tidy-14 > /dev/null || apt-get install -qq clang-14 clang-tidy-14 libomp-14-dev
	cmake --preset thread-safety -B $(BUILD)-thread-safety -DCMAKE_EXPORT_COMPILE_COMMANDS=ON > /dev/null
	run-clang-tidy-14 -quiet -j $(JOBS) -p $(BUILD)-thread-safety '/(framework|plugins)/.*\.cpp$$'
	cmake --build $(BUILD)-thread-safety -j $(JOBS)

# The share of the lines of each file that the quick tests run, the least covered files first.
coverage: packages
	@command -v gcovr > /dev/null || apt-get install -qq gcovr
	cmake --preset coverage -B $(BUILD)-coverage > /dev/null
	cmake --build $(BUILD)-coverage -j $(JOBS)
	ctest --test-dir $(BUILD)-coverage -L 'unit|plugins|conformance|golden|error|inspect'
	gcovr --root . --filter framework/ --filter plugins/ --exclude-throw-branches --sort-percentage \
	  $(BUILD)-coverage > $(BUILD)-coverage/lines.txt
	sed -n '1,12p' $(BUILD)-coverage/lines.txt; tail -n 3 $(BUILD)-coverage/lines.txt

packages:
	@cmake/install-packages.sh
