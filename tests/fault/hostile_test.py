#!/usr/bin/env python3
"""Files that nobody vouches for, made to harm or damaged bit by bit, given to `inspect` and `diff`.

    python3 hostile_test.py --program PROGRAM [--flips N | --every-byte] [--seed N]

However bad the file: the program ends by itself with 65 (or as on a good file, where the harm is in a part that it does
not need), names the file, lets no control character reach the terminal, opens nothing else, and neither it nor its
child takes more memory than MOST_MEMORY, or MOST_MEMORY_OF_HDF5. No time is asserted; the longest is printed.
"""
import concurrent.futures
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import h5py
import numpy as np

from whole_program import HANGS, read_command_line

# Peak of the program and its child, above that of a good file: pieces of 4 MiB, HDF5's caches, and the largest chunk
# that a case makes HDF5 unpack.
MOST_MEMORY = 128 << 20
# Of a flipped bit, which may stand in a length that HDF5 asks memory for: what its process may have.
MOST_MEMORY_OF_HDF5 = 512 << 20
EXPERIMENT = """
name: small
seed: 5
data: {synthetic: {random: {samples: 16, inputs: 3, classes: 2}}}
network:
  layers:
    - dense: {name: hidden, units: 9, activation: tanh}
    - dense: {name: logits, units: 2}
  loss: softmax_cross_entropy
train: {steps: 4, batch_size: 8, optimizer: {sgd: {lr: 0.1}}}
record: {every: 2, taps: [activation, delta, weights], samples: 4}
"""
SECRET = "a number that stands in another file"
OPTIONS = None  # of the command line


class Ended:
    """How a program ended, and what it and its children took."""

    def __init__(self, words):
        begin = time.monotonic()
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = subprocess.Popen([OPTIONS.program, *map(str, words)], stdout=out, stderr=err,
                                       stdin=subprocess.DEVNULL)
            guard = concurrent.futures.ThreadPoolExecutor(1).submit(os.wait4, process.pid, 0)
            try:
                _, status, usage = guard.result(HANGS)
            except concurrent.futures.TimeoutError as late:
                process.kill()
                raise AssertionError(f"{words} hangs") from late
            self.code = process.returncode = os.waitstatus_to_exitcode(status)
            self.peak = usage.ru_maxrss * 1024
            self.out, self.err = ((file.seek(0), file.read())[1].decode(errors="surrogateescape") for file in (out, err))
        self.seconds = time.monotonic() - begin


def is_fault_of_ours(said):
    """Whether a sanitizer found something, and not in HDF5, whose faults the child is there for."""
    frames = [frame for frame in re.findall(r"^ +#\d+ (.*)$", said, re.M) if "/libsanitizer/" not in frame]
    return "runtime error:" in said or ("Sanitizer" in said and not (frames and "/libhdf5" in frames[0]))


def complaint(ended, words, codes, file, most_memory):
    """What is wrong with how the program ended, or None."""
    said = ended.out + ended.err
    if ended.code not in codes:
        return f"{words}: exit code {ended.code}, expected one of {codes}: {ended.err}"
    if ended.code == 65 and file.name not in ended.err:
        return f"{words}: does not name the file: {ended.err}"
    if re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\udc80-\udcff]", said):
        return f"{words}: a control character reaches the terminal: {said!r}"
    if is_fault_of_ours(ended.err):
        return f"{words}: {said}"
    if SECRET in said or "1234.5" in said:
        return f"{words}: shows what stands in another file"
    if not OPTIONS.sanitized and ended.peak > Files.peak + most_memory:
        return f"{words}: takes {ended.peak >> 20} MiB"
    return None


class Files:
    """A good checkpoint and trace, and what a good file takes."""

    folder = None
    peak = 0
    slowest = []

    @classmethod
    def make(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="bp-hostile-"))
        (cls.folder / "small.yaml").write_text(EXPERIMENT)
        run = Ended(["run", cls.folder / "small.yaml", "--out", cls.folder / "run"])
        assert run.code == 0, run.err
        cls.good = {"checkpoint": cls.folder / "checkpoint.h5", "trace": cls.folder / "trace.h5"}
        shutil.copy(cls.folder / "run/checkpoints/step-00000004.h5", cls.good["checkpoint"])
        shutil.copy(cls.folder / "run/trace.h5", cls.good["trace"])
        with h5py.File(cls.folder / "secret.h5", "w") as secret:
            secret["z"] = np.full((4, 9), 1234.5, "f4")
            secret["text"] = SECRET
        (cls.folder / "secret.bin").write_bytes(np.full((4, 9), 1234.5, "<f4").tobytes())
        for path in cls.good.values():
            done = Ended(["inspect", path])
            assert done.code == 0 and "layer hidden" in done.out, done.err
            cls.peak = max(cls.peak, done.peak)

    @classmethod
    def commands(cls, kind, path):
        """Words and the exit codes that they may end with."""
        yield ["inspect", path], {0, 65}
        yield ["inspect", path, "--json"], {0, 65}
        yield ["inspect", path, "--layer", "hidden", "--tensor", "activation"], {0, 64, 65}
        yield ["diff", path, cls.good[kind]], {0, 1, 65}

    @classmethod
    def try_all(cls, kind, path, commands=None, most_memory=MOST_MEMORY):
        """Complaints about every command on one file, and the exit code of the first."""
        found, first = [], None
        for words, codes in commands or cls.commands(kind, path):
            ended = Ended(words)
            first = ended.code if first is None else first
            cls.slowest = sorted([*cls.slowest, (ended.seconds, f"{words[0]} {path.name}")])[-3:]
            problem = complaint(ended, words, codes, path, most_memory)
            if problem:
                found.append(problem)
        return found, first


def replace(file, path, **how):
    """Another data set in the place of one."""
    del file[path]
    return file.create_dataset(path, **how)


def low_level(file, path, dims, chunk=None):
    """A data set of any extents for which nothing is stored."""
    del file[path]
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    if chunk:
        creation.set_chunk(chunk)
    else:
        creation.set_alloc_time(h5py.h5d.ALLOC_TIME_LATE)
    h5py.h5d.create(file.id, path.encode(), h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple(dims), creation)


def hard_cycle(file):
    file["layers/hidden/loop"] = file["layers/hidden"]


def external_storage(file):
    replace(file, "layers/hidden/activation", shape=(4, 9), dtype="<f4",
            external=[(str(Files.folder / "secret.bin"), 0, 144)])


def virtual(file):
    layout = h5py.VirtualLayout((4, 9), "<f4")
    layout[:] = h5py.VirtualSource(str(Files.folder / "secret.h5"), "z", (4, 9))
    del file["layers/hidden/activation"]
    file.create_virtual_dataset("layers/hidden/activation", layout)


def link(target):
    def make(file):
        del file["layers/hidden/activation"]
        file["layers/hidden/activation"] = target
    return make


def in_cycle(file):
    del file["layers/hidden/activation"]
    file["layers/hidden/activation"] = h5py.SoftLink("/layers/hidden/other")
    file["layers/hidden/other"] = h5py.SoftLink("/layers/hidden/activation")


def group_elsewhere(file):
    del file["layers"]
    file["layers"] = h5py.ExternalLink(str(Files.folder / "secret.h5"), "/")


def many_groups(count):
    def make(file):
        for i in range(count):
            file.create_group(f"layers/g{i}")
    return make


def many_tensors(file):
    for i in range(200):
        for j in range(200):
            file[f"layers/hidden/t{i}/{j}"] = file["layers/hidden/weights/W"]


def bomb(file):
    """1 GiB of zeros in 1 MiB."""
    shape = file["layers/hidden/activation"].shape
    data = replace(file, "layers/hidden/activation", shape=(*shape[:-1], 1 << 22), dtype="<f4",
                   chunks=(*[1] * (len(shape) - 1), 1 << 20), compression="gzip")
    data[...] = 0


def of(dtype, value=1):
    """Numbers, or what else, that are all there: the type alone is at fault."""
    def make(file):
        shape = file["layers/hidden/activation"].shape
        data = replace(file, "layers/hidden/activation", shape=shape, dtype=dtype)
        for place in np.ndindex(shape):
            data[place] = file.ref if isinstance(value, str) and value == "reference" else value
    return make


def stored(**how):
    def make(file):
        data = file["layers/hidden/activation"][:]
        replace(file, "layers/hidden/activation", data=data, chunks=data.shape, **how)
    return make


def without(path):
    def make(file):
        del file[path]
    return make


def bad_format(value):
    def make(file):
        file.attrs.create("format", value)
    return make


def null_space(file):
    file["layers/hidden/activation"].attrs["definition"] = h5py.Empty("S5")


def long_names(file):
    if "layer_names" in file:
        del file["layer_names"]
    file["layer_names"] = np.full(1 << 20, b"hidden")


def names_that_climb(file):
    if "layer_names" in file:
        del file["layer_names"]
    file["layer_names"] = np.array([b"hidden/../..", b"logits"])


def escapes(file):
    file.move("layers/hidden", "layers/hid\x1b]0;owned\x07\x1b[31mden\r\u202e\u0085")
    layer = [group for name, group in file["layers"].items() if name.startswith("hid")][0]
    layer["activation"].attrs["definition"] = np.bytes_(b"\x1b[2J\x9b31m \xff\xfe")
    if "layer_names" in file:
        names = [name.encode() for name in file["layers"]]
        del file["layer_names"]
        file["layer_names"] = np.array(names)


def label(file):
    file["layers/hidden/activation"].dims[0].label = "sam\x1b[31mple"


def deep(file):
    group = file["layers/hidden"]
    for _ in range(200):
        group = group.create_group("g")
    group["x"] = np.zeros(3, "<f4")


# HDF5 makes no such extents: this one is overwritten in the file.
MARK = 0x123456789A
PATCHES = {"extent of 2^63": 1 << 63, "extent of 2^64 - 1": (1 << 64) - 1}
ACTIVATION = "layers/hidden/activation"
CASES = {
    "external link": link(h5py.ExternalLink("secret.h5", "/z")),
    "external link of all layers": group_elsewhere,
    "soft link": link(h5py.SoftLink("/layers/logits/activation")),
    "soft links in a cycle": in_cycle,
    "hard links in a cycle": hard_cycle,
    "external storage": external_storage,
    "virtual data set": virtual,
    "numbers of any length": of(h5py.vlen_dtype(np.float32), np.ones(2, "<f4")),
    "texts of any length": of(h5py.string_dtype(), "text"),
    "compound": of(np.dtype([("x", "<f4"), ("y", "<f4")]), (1, 2)),
    "references": of(h5py.ref_dtype, "reference"),
    "whole numbers": of("<i4"),
    "big-endian": of(">f4"),
    "float16": of("<f2"),
    "long double": of(np.longdouble),
    "product that overflows": lambda file: low_level(file, ACTIVATION, (1 << 33, 1 << 33), (1, 1)),
    "product that becomes 0": lambda file: low_level(file, ACTIVATION, (1 << 32, 1 << 32), (1, 1)),
    "product beside an extent of 0": lambda file: low_level(file, ACTIVATION, (1 << 47, 1 << 47, 0)),
    "extent of 2^63": lambda file: low_level(file, ACTIVATION, (4, MARK)),
    "extent of 2^64 - 1": lambda file: low_level(file, ACTIVATION, (4, MARK)),
    "32 axes": lambda file: low_level(file, ACTIVATION, (4,) * 32, (1,) * 32),
    "2^40 elements never written": lambda file: low_level(file, ACTIVATION, (4, 1 << 38)),
    "2^40 elements in chunks never written": lambda file: low_level(file, ACTIVATION, (4, 1 << 38), (1, 1 << 20)),
    "chunk of 4 GB": lambda file: low_level(file, ACTIVATION, (4, 1 << 29), (1, 1 << 29)),
    "10^5 groups": many_groups(100_000),
    "40,000 links to one tensor": many_tensors,
    "groups 200 deep": deep,
    "1 GiB of zeros": bomb,
    "lzf": stored(compression="lzf"),
    "scale-offset": stored(scaleoffset=3),
    "no format": lambda file: file.attrs.pop("format", None),
    "format as a number": bad_format(7),
    "format of any length": bad_format("backplane-checkpoint"),
    "format of 60 kB": bad_format(np.bytes_(b"x" * 60_000)),
    "format as a list": bad_format(np.array([b"backplane-checkpoint"] * 3)),
    "no /layers": without("layers"),
    "no /scales/sample": without("scales/sample"),
    "no /scales": without("scales"),
    "definition without elements": null_space,
    "10^6 layer names": long_names,
    "layer names that climb": names_that_climb,
    "names with escapes": escapes,
    "label with escapes": label,
}
OF_CHECKPOINTS = {
    **{f"no {name}": without(name) for name in ("config", "state", "probe", "probe/input", "layer_names")},
    **{f"no attribute {name}": (lambda name: lambda file: file.attrs.pop(name))(name)
       for name in ("step", "format_version", "weights_digest")},
    **{f"layer without {name}": (lambda name: lambda file: file["layers/hidden"].attrs.pop(name))(name)
       for name in ("type", "activation", "plugin")},
    "format of the future": lambda file: file.attrs.modify("format_version", 99),
    "step as text": lambda file: file.attrs.create("step", np.bytes_(b"4")),
    "step that nothing can follow": lambda file: file.attrs.modify("step", (1 << 63) - 1),
    "configuration of any length": lambda file: replace(file, "config", data="x" * 1000),
    "state as a list": lambda file: replace(file, "state/step", data=np.zeros(1 << 20)),
    "samples of another count": lambda file: replace(file, "scales/sample", data=np.zeros(3, "<i8")),
}
OF_TRACES = {
    "format of the future": lambda file: file.attrs.create("format_version", 99),
    "fewer records than steps": lambda file: replace(file, "scales/step", data=np.arange(1000)),
    "steps as text": lambda file: replace(file, "scales/step", data=np.array([b"a", b"b"])),
    "steps of two axes": lambda file: replace(file, "scales/step", data=np.zeros((1, 2), "<i8")),
    "samples of one axis": lambda file: replace(file, "scales/sample", data=np.zeros(2, "<i8")),
}
# Read as they are, made safe for a terminal, or refused; all else is refused.
MAY_BE_READ = {"float16", "label with escapes", "names with escapes", "1 GiB of zeros"}


class Hostile(unittest.TestCase):
    def make(self, kind, name, change):
        path = Files.folder / f"{kind} {name}.h5".replace(" ", "_").replace("/", "-").replace("^", "")
        shutil.copy(Files.good[kind], path)
        with h5py.File(path, "r+") as file:
            change(file)
        if name in PATCHES:
            data = path.read_bytes()
            assert MARK.to_bytes(8, "little") in data
            path.write_bytes(data.replace(MARK.to_bytes(8, "little"), PATCHES[name].to_bytes(8, "little")))
        return path

    def check(self, kind, cases):
        for name, change in cases.items():
            with self.subTest(kind=kind, case=name):
                path = self.make(kind, name, change)
                problems, code = Files.try_all(kind, path)
                self.assertEqual(problems, [])
                # A trace needs no format and no names of layers.
                if name not in MAY_BE_READ | {"no layer_names"} and (kind, name) != ("trace", "no format"):
                    self.assertEqual(code, 65, f"{kind}: {name}")
                path.unlink()

    def test_checkpoints(self):
        self.check("checkpoint", {**CASES, **OF_CHECKPOINTS})

    def test_traces(self):
        self.check("trace", {**CASES, **OF_TRACES})

    def test_not_hdf5(self):
        for name, data in {"empty": b"", "zeros": bytes(4096), "signature": b"\x89HDF\r\n\x1a\n",
                           "signature and zeros": b"\x89HDF\r\n\x1a\n" + bytes(4096),
                           "signature and ones": b"\x89HDF\r\n\x1a\n" + b"\xff" * 4096}.items():
            path = Files.folder / f"{name}.h5".replace(" ", "_")
            path.write_bytes(data)
            problems, code = Files.try_all("trace", path)
            self.assertEqual((problems, code), ([], 65), name)
        huge = Files.folder / "huge.h5"  # how long its reader may take has more milliseconds than an int
        huge.write_bytes(b"\x89HDF\r\n\x1a\n")
        os.truncate(huge, 3 << 40)
        problems, code = Files.try_all("trace", huge)
        self.assertEqual((problems, code), ([], 65))
        fifo = Files.folder / "fifo.h5"
        os.mkfifo(fifo)
        self.assertEqual(Ended(["inspect", fifo]).code, 66)

    def test_what_is_damaged_is_not_taken_for_half_written(self):
        """HDF5 reads a part of a trace whose checksum is wrong again and again, at last for minutes."""
        data = bytearray(Files.good["trace"].read_bytes())
        data[28] ^= 2  # in the superblock
        path = Files.folder / "superblock.h5"
        path.write_bytes(data)
        ended = Ended(["inspect", path])
        self.assertEqual(ended.code, 65, ended.err)
        self.assertIn("incorrect metadata checksum", ended.err)

    def test_flipped_bits(self):
        """One bit of a file, again and again; every byte's turn in the long test."""
        chance = random.Random(OPTIONS.seed)
        tasks = []
        for kind, good in Files.good.items():
            size = good.stat().st_size
            places = range(size) if OPTIONS.every_byte else sorted(chance.sample(range(size), OPTIONS.flips // 2))
            tasks += [(kind, place, chance.randrange(8)) for place in places]
        read = 0

        def flip(task):
            kind, place, bit = task
            data = bytearray(Files.good[kind].read_bytes())
            data[place] ^= 1 << bit
            path = Files.folder / f"{kind}-{place}-{bit}.h5"
            path.write_bytes(data)
            commands = list(Files.commands(kind, path))
            found, code = Files.try_all(kind, path, [commands[0], commands[3]] if place % 4 == 0 else commands[:1],
                                        MOST_MEMORY_OF_HDF5)
            path.unlink()
            return found, code

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            # Not all at once: Linux counts what this process takes for the peak of those that it starts.
            for begin in range(0, len(tasks), 500):
                for found, code in pool.map(flip, tasks[begin:begin + 500]):
                    self.assertEqual(found, [], f"seed {OPTIONS.seed}")
                    read += code == 0
        print(f"{len(tasks)} flipped bits: {read} files read, the others refused", file=sys.stderr)


def main():
    global OPTIONS
    OPTIONS = read_command_line(
        __doc__, flips={"type": int, "default": 300, "help": "how many bits, half of them in a checkpoint"},
        every_byte={"action": "store_true", "help": "one bit of each byte instead"}, seed={"type": int, "default": 1},
        sanitized={"action": "store_true", "help": "memory, of which sanitizers take much, is not asked for"})
    Files.make()
    try:
        result = unittest.main(exit=False).result
        print("slowest:", ", ".join(f"{words} {seconds:.1f} s" for seconds, words in Files.slowest), file=sys.stderr)
    finally:
        shutil.rmtree(Files.folder)
    return not result.wasSuccessful()


if __name__ == "__main__":
    sys.exit(main())
