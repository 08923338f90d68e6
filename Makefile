# Everything from nothing on Debian 12 and 13: each target installs what is missing, builds in Release, and does its work.
BUILD  ?= build
PREFIX ?= /usr/local
JOBS   ?= $(shell nproc)
ROOT   ?= $(BUILD)-debian13

.PHONY: run test test-long test-debian13 format lint program build configure install packages

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

lint: configure
	@command -v shellcheck > /dev/null || apt-get install -qq shellcheck
	shellcheck cmake/*.sh .ci/run
	ctest --test-dir $(BUILD) --output-on-failure -L structure

packages:
	@cmake/install-packages.sh
