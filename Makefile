# Everything from nothing on Debian 12 and 13: each target installs what is missing, builds in Release, and does its work.
BUILD  ?= build
PREFIX ?= /usr/local
JOBS   ?= $(shell nproc)
ROOT   ?= $(BUILD)-debian13

.PHONY: run test test-long test-debian13 build install packages

run: build
	$(BUILD)/backplane run experiments/fashion_mnist/mlp.yaml

test: build
	ctest --test-dir $(BUILD) --output-on-failure

# Hundreds of faults of each kind more: takes minutes.
test-long: build
	ctest --test-dir $(BUILD) --output-on-failure -C Long -L fault-long

# `make run` and `make test` of what is committed, in a root of Debian 13 of its own.
test-debian13:
	cmake/test-debian13.sh $(ROOT)

build: packages
	@mkdir -p $(BUILD)
	@cmake --preset release -B $(BUILD) > $(BUILD)/configure.log 2>&1 || { cat $(BUILD)/configure.log; exit 1; }
	cmake --build $(BUILD) -j $(JOBS)

install: build
	cmake --install $(BUILD) --prefix $(PREFIX)

packages:
	@cmake/install-packages.sh
