#!/usr/bin/env python3
"""Every word that names a file or a folder, given every kind of path that people and machines have.

A place is a command line with P where the path stands. Each is given paths that cannot serve (too long, through a file,
links in a circle, not permitted, missing, …) and must say so: an exit code that is documented for it, one message that
names the path, never an internal error and never a signal. Each is given a good file under odd names, too, and must
take it as it takes one under a plain name.

So are commands that start in a folder that is gone or closed, and those that may start no thread or process.

Root may read everything: the program is run as `nobody` then, and a copy of it, since where it was built may be closed.

    paths_test.py --program build/backplane --plugin build/test-plugins/X.bp.so "run --out"
"""

import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import tempfile

HANGS = 300  # seconds; a guard against endless loops, nothing is measured
NOBODY = 65534
SANITIZERS = {name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")}
FORBIDDEN = (b"internal error", b"terminate called", b"assertion failed", b"Sanitizer", b"filesystem error", b"std::",
             b"basic_string", b"[json.")

EXPERIMENT = """\
name: paths
data: {csv: {train: good.csv, labels: c}}
network: {layers: [{dense: {units: 2}}], loss: softmax_cross_entropy}
train: {steps: 2, batch_size: 2, optimizer: sgd}
"""
RECORD = ["--set", "record={every: 1, taps: [delta]}"]
BENCH = ["bench", "good.yaml", "--threads", "1", "--repetitions", "1", "--turn", "0.001", "--predict", "2"]


def data_of(source):
    return ["run", "good.yaml", "--dry-run", "--set", f"data={source}"]


@dataclasses.dataclass
class Place:
    """Where the user names a file or folder."""
    name: str
    words: list       # the command line, with P for the path and NEW for one in a folder of the case's own
    good: str = ""    # what serves there, below the scratch folder
    makes: bool = False        # what is named there is written
    makes_folders: bool = False  # … with all folders above it
    variable: str = ""         # of the environment, instead of a word
    is_yaml: bool = False      # P stands in YAML, in double quotes

    @property
    def goes_into_config(self):
        """config.yaml will name it: it has to be UTF-8."""
        return self.is_yaml or self.name.endswith("--weights")


STEP = "good_run/checkpoints/step-00000002.h5"
READ = [
    Place("run FILE", ["run", "P", "--dry-run"], "good.yaml"),
    Place("check FILE", ["check", "P", "--threads", "1"], "good.yaml"),
    Place("verify-resume FILE", ["verify-resume", "P", "--steps", "2"], "good.yaml"),
    Place("bench FILE", ["bench", "P", *BENCH[2:]], "good.yaml"),
    Place("run --weights", ["run", "good.yaml", "--dry-run", "--weights", "P"], "good.safetensors"),
    Place("check --weights", ["check", "good.yaml", "--threads", "1", "--weights", "P"], STEP),
    Place("init_from", ["run", "good.yaml", "--dry-run", "--set", "network.init_from={file: P}"], "good.npz",
          is_yaml=True),
    Place("run --plugin", ["run", "good.yaml", "--dry-run", "--plugin", "P"], "good.bp.so"),
    Place("plugin list --plugin", ["plugin", "list", "--plugin", "P"], "good.bp.so"),
    Place("replay --plugin", ["replay", STEP, "--plugin", "P"], "good.bp.so"),
    Place("plugin inspect", ["plugin", "inspect", "P"], "good.bp.so"),
    Place("inspect RUN", ["inspect", "P"], "good_run"),
    Place("inspect TRACE", ["inspect", "P"], "good_run/trace.h5"),
    Place("inspect CHECKPOINT", ["inspect", "P"], STEP),
    Place("inspect --repair", ["inspect", "--repair", "P"], "good_run"),
    Place("diff A", ["diff", "P", "good_run"], "good_run"),
    Place("diff B", ["diff", STEP, "P"], STEP),
    Place("replay CHECKPOINT", ["replay", "P"], STEP),
    Place("export CHECKPOINT", ["export", "P", "--to", "npz", "--out", "NEW"], STEP),
    Place("csv", data_of("{csv: {train: P, labels: c}}"), "good.csv", is_yaml=True),
    Place("idx", data_of("{idx: {train: {images: P, labels: good.labels}}}"), "good.images", is_yaml=True),
    Place("text", [*data_of("{text: {files: P, window: 2, test: 0}}"), "--set",
                   "network.layers=[{embedding: {units: 2, vocabulary: 2}}, {dense: {units: 2, flatten: false}}]"], "good.txt", is_yaml=True),
    Place("hdf5", [*data_of("{hdf5: {train: P, inputs: layers/dense/z, targets: layers/dense/activation}}"), "--set",
                   "network.loss=mean_squared_error"], STEP, is_yaml=True),
    Place("cifar10", data_of("{cifar10: {folder: P}}"), is_yaml=True),
    Place("BACKPLANE_DATA", data_of("{idx: {name: set}}"), "good_data", variable="BACKPLANE_DATA"),
]
WRITTEN = [
    Place("run --out", ["run", "good.yaml", "--out", "P"], makes=True, makes_folders=True),
    Place("run --resume --out", ["run", "good.yaml", "--resume", "--out", "P"], makes=True, makes_folders=True),
    Place("run --trace-threads", ["run", "good.yaml", "--out", "NEW", "--trace-threads", "P"], makes=True),
    Place("export --out", ["export", STEP, "--to", "safetensors", "--out", "P"], makes=True),
    Place("bench --json", [*BENCH, "--json", "P"], makes=True),
    Place("bench --plot", [*BENCH, "--plot", "P"], makes=True),
    Place("bench --trace-threads", [*BENCH, "--trace-threads", "P"], makes=True),
    Place("TMPDIR", ["run", "good.yaml", "--dry-run", *RECORD], "good_temporary", variable="TMPDIR"),
    Place("TMPDIR of verify-resume", ["verify-resume", "good.yaml", "--steps", "2"], "good_temporary", variable="TMPDIR"),
]
NO_INPUT, IO, USAGE, BAD_CONFIG = 66, 74, 64, 78


# Paths that serve nowhere, with what must be said of each besides the path itself.
LONG_NAME, LONG_PATH = "x" * 300, "x/" * 3000 + "x"
BAD = {
    "long path": (LONG_PATH, "longer"),
    "long name in a folder": ("folder/" + LONG_NAME, "longer"),
    "through a file": ("good.yaml/x", "is a file"),
    "links in a circle": ("folder/loop", "circle"),
    "through links in a circle": ("folder/loop/x", "circle"),
    "in a closed folder": ("closed/x", "ermission"),
    "missing": ("missing/x", None),
    "odd and missing": ("folder/missing %s%n{}{0} '\"`$(x)\n\x1b[31m/x", None),
    "no UTF-8 and missing": (b"folder/caf\xe9/x", None),
    "a dash": ("folder/-/x", None),
    "empty": ("", "empty"),
}
ODD = ["two words", "new\nline", "%s%n{}{0}", "'\"`$(x)\\", "-", "--out", "\x1b[31m", "δ", b"caf\xe9"]


def give(path):
    """To who runs the program."""
    if os.geteuid() == 0:
        for each in (path, *path.rglob("*")):
            os.chown(each, NOBODY, NOBODY, follow_symlinks=False)


def copy_program(program, folder):
    """One that nobody may run, with its plug-ins. An installed one stays where it is, and where its plug-ins are."""
    plugins = pathlib.Path(program).parent / "plugins"
    if not plugins.is_dir():
        return program
    os.chmod(folder, 0o755)
    (folder / "plugins").mkdir()
    for plugin in plugins.glob("*.bp.so"):
        shutil.copy(plugin, folder / "plugins")
    return shutil.copy(program, folder)


def prepare(scratch, options):
    """The good files, made by the program itself, and paths that lead nowhere."""
    def program(*words):
        subprocess.run([options.program, *words], cwd=scratch, check=True, capture_output=True, timeout=HANGS)
    write = lambda name, text: (scratch / name).write_bytes(text)
    write("good.yaml", EXPERIMENT.encode())
    write("good.csv", b"a,b,c\n" + b"1,2,0\n3,4,1\n" * 4)
    write("good.images", bytes([0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 2, *range(8)]))
    write("good.labels", bytes([0, 0, 8, 1, 0, 0, 0, 4, 0, 1, 0, 1]))
    write("good.txt", b"ab" * 20)
    shutil.copy(options.plugin, scratch / "good.bp.so")
    program("run", "good.yaml", "--out", "good_run", *RECORD)
    for kind in ("npz", "safetensors"):
        program("export", "good_run/checkpoints/step-00000002.h5", "--to", kind, "--out", f"good.{kind}")
    (scratch / "folder").mkdir()
    (scratch / "good_temporary").mkdir()
    os.chmod(scratch / "folder", 0o777)
    os.chmod(scratch, 0o777)
    (scratch / "good_data/set").mkdir(parents=True)
    for kind in ("images-idx3", "labels-idx1"):
        shutil.copy(scratch / ("good." + kind.split("-")[0]), scratch / f"good_data/set/train-{kind}-ubyte")
    os.symlink("loop", scratch / "folder/loop")
    write("folder/closed", b"x")
    give(scratch)
    (scratch / "closed").mkdir()
    for name in ("folder/closed", "closed"):
        os.chmod(scratch / name, 0)


def printable(path):
    """As the program shows it: what is no UTF-8 and what controls a terminal is escaped."""
    shown = "".join(c if c.isprintable() else "".join(f"\\x{b:02x}" for b in os.fsencode(c)) for c in os.fsdecode(path))
    return shown.encode()


def is_utf8(path):
    return path.decode(errors="replace").encode() == path


def quoted(path):
    """In YAML's double quotes. What is no UTF-8 stays as it is."""
    return json.dumps(os.fsdecode(path), ensure_ascii=False).encode(errors="surrogateescape")


class Runner:
    def __init__(self, scratch, options):
        self.scratch, self.program = scratch, options.program
        self.identity = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        self.count = 0

    def folder(self):
        """Of one case alone."""
        self.count += 1
        folder = self.scratch / f"case-{self.count}"
        folder.mkdir()
        os.chmod(folder, 0o777)
        return folder.name

    def start(self, words, environment, **how):
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": "/", **SANITIZERS, **environment}
        return subprocess.run([self.program, *words], env=environment, capture_output=True, stdin=subprocess.DEVNULL,
                              timeout=HANGS, **{"cwd": self.scratch, **how}, **self.identity)

    def run(self, place, path, folder):
        def put(word):
            word = os.fsencode(word.replace("NEW", folder + "/new"))
            if place.variable:
                return word
            return word.replace(b"P", quoted(path)) if place.is_yaml and b"P" in word else path if word == b"P" else word
        return self.start([*map(put, place.words)], {place.variable: path} if place.variable else {})


def complaints(done):
    """What no command may do, whatever it is given."""
    if done.returncode < 0 or done.returncode == 70:
        yield f"exit code {done.returncode}"
    yield from (f"says {words.decode()!r}" for words in FORBIDDEN if words in done.stderr)


def bad_cases(place):
    """(kind, path, what is said of it)"""
    for kind, (path, reason) in BAD.items():
        if not (place.makes_folders and reason is None) and not (place.variable and kind == "empty"):
            yield kind, os.fsencode(path), reason
    if place.good and not place.variable and not place.makes:
        yield "a closed file", b"folder/closed", "ermission"
        yield "a file with a slash behind it", b"good.csv/", None


def check_bad(runner, place, kind, path, reason):
    done = runner.run(place, path, runner.folder())
    yield from complaints(done)
    expected = {USAGE} if not path else {IO} if place.makes or place.variable == "TMPDIR" else {NO_INPUT}
    if place.goes_into_config and (not path or not is_utf8(path)):
        expected = {USAGE, BAD_CONFIG} if path else {USAGE, BAD_CONFIG, NO_INPUT}
    if done.returncode not in expected:
        yield f"exit code {done.returncode}, expected {expected}"
    if done.stderr.count(b"error: ") != 1:
        yield "does not say one error"
    if path and printable(path) not in done.stderr:
        yield "does not name the path"
    if reason is not None and reason.encode() not in done.stderr and not (place.is_yaml and not path):
        yield f"does not say {reason!r}"


def check_odd(runner, place, name):
    folder = runner.folder()
    path = os.fsencode(folder) + b"/" + os.fsencode(name)
    if not place.makes:
        os.mkdir(runner.scratch / os.fsdecode(path))
        source = runner.scratch / place.good.split("/")[0]
        if place.good:
            copy = shutil.copytree if source.is_dir() else shutil.copy
            made = runner.scratch / os.fsdecode(path) / source.name
            copy(source, made)
            give(made)
            path += b"/" + os.fsencode(place.good)
    done = runner.run(place, path, folder)
    yield from complaints(done)
    if place.goes_into_config and not is_utf8(os.fsencode(name)):
        if done.returncode not in (USAGE, BAD_CONFIG) or b"UTF-8" not in done.stderr:
            yield f"exit code {done.returncode}; expected that a configuration is UTF-8"
    elif done.returncode != 0:
        yield f"exit code {done.returncode}"
    elif place.makes and not (runner.scratch / os.fsdecode(path)).exists():
        yield "made nothing"


# What a folder to start in that is gone, or closed by now, is to a command whose other paths are whole. S: the scratch.
WHOLE = ["S/good.yaml", "--set", "data.csv.train=S/good.csv"]
STARTS = {
    "run --dry-run": (["run", *WHOLE, "--dry-run"], 0),
    "run --out": (["run", *WHOLE, "--out", "S/NEW/new"], 0),
    "run": (["run", *WHOLE], IO),
    "verify-resume": (["verify-resume", *WHOLE, "--steps", "2"], 0),
    "inspect": (["inspect", "S/good_run"], 0),
    "inspect here": (["inspect", "good_run"], NO_INPUT),
    "diff": (["diff", "S/good_run", "S/good_run"], 0),
    "replay": (["replay", "S/" + STEP], 0),
    "export": (["export", "S/" + STEP, "--to", "npz"], IO),
    "export --out": (["export", "S/" + STEP, "--to", "npz", "--out", "weights"], IO),
    "bench --json": (["bench", *WHOLE, "--threads", "1", "--repetitions", "1000", "--json", "x"], IO),
    "run --trace-threads": (["run", *WHOLE, "--out", "S/NEW/new", "--trace-threads", "x"], IO),
    "plugin list": (["plugin", "list", "--plugin", "S/good.bp.so"], 0),
}


def check_start(runner, words, expected, leave):
    folder = runner.folder()
    words = [word.replace("S/", f"{runner.scratch}/").replace("NEW", folder) for word in words]

    def begin():
        os.mkdir(folder + "/start")
        os.chdir(folder + "/start")
        leave()
    done = runner.start(words, {}, preexec_fn=begin)
    yield from complaints(done)
    if done.returncode != expected:
        yield f"exit code {done.returncode}, expected {expected}: {done.stderr.decode(errors='replace')}"


def leave_deleted():
    os.rmdir("../start")


def leave_closed():
    os.chmod(".", 0)


def check_closed_plugins(runner):
    """A folder of BACKPLANE_PLUGIN_PATH that may not be read hides plug-ins: it is said, and nothing else is lost."""
    with tempfile.TemporaryDirectory(prefix="bp-plugins-") as folder:  # not where everybody can write
        os.chmod(folder, 0o755)
        os.mkdir(folder + "/closed", 0)
        for path in (folder + "/closed", folder + "/closed/x"):
            done = runner.start(["run", "good.yaml", "--dry-run"], {"BACKPLANE_PLUGIN_PATH": path})
            yield from complaints(done)
            expected = f"warning: plug-ins in {path} are not looked for: it cannot be read: permission denied\n"
            if (done.returncode, done.stderr.decode()) != (0, expected):
                yield f"exit code {done.returncode}: {done.stderr.decode(errors='replace')}"


# Commands that start threads or processes, where the user may have no more of them.
STARTERS = [["run", "good.yaml", "--dry-run"], ["run", "good.yaml", "--out", "NEW/new"], ["inspect", "good_run"],
            ["check", "good.yaml"], BENCH, ["verify-resume", "good.yaml", "--steps", "2"], ["replay", STEP]]


def check_no_threads(runner, words):
    folder = runner.folder()
    done = runner.start([word.replace("NEW", folder) for word in words], {},
                        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NPROC, (1, 1)))
    yield from complaints(done)
    if done.returncode != IO or b"ulimit -u" not in done.stderr:
        yield f"exit code {done.returncode}: {done.stderr.decode(errors='replace')}"


# Commands that open files, where the process may have few open.
OPENERS = [["inspect", "good_run"], ["inspect", STEP], ["diff", "good_run", "good_run"], ["replay", STEP],
           ["export", STEP, "--to", "npz", "--out", "NEW/weights"], ["run", "good.yaml", "--dry-run", *RECORD],
           ["run", "good.yaml", "--out", "NEW/new", *RECORD]]


def check_few_descriptors(runner, words, limit):
    """What cannot be opened for want of descriptors is not damaged, and no disk is full."""
    folder = runner.folder()
    done = runner.start([word.replace("NEW", folder) for word in words], {},
                        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)))
    yield from complaints(done)
    if done.returncode != 0 and (done.returncode != IO or b"ulimit -n" not in done.stderr):
        yield f"exit code {done.returncode}: {done.stderr.decode(errors='replace')}"


def check_little_memory(runner, kilobytes):
    """Libraries may crash there, but no exception leaves a thread unexplained."""
    def begin():
        resource.setrlimit(resource.RLIMIT_AS, (kilobytes << 10, kilobytes << 10))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    done = runner.start(["run", "good.yaml", "--threads", "4", "--out", runner.folder() + "/new"], {}, preexec_fn=begin)
    if done.returncode == -signal.SIGABRT or any(word in done.stderr for word in FORBIDDEN):
        yield f"exit code {done.returncode}: {done.stderr.decode(errors='replace')}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--plugin", required=True, help="one that is not built in")
    parser.add_argument("places", nargs="*", help="names of places; default: all")
    options = parser.parse_args()
    options.program = os.path.realpath(options.program)
    with tempfile.TemporaryDirectory(prefix="bp-paths-") as folder, \
            tempfile.TemporaryDirectory(prefix="bp-program-") as program_folder:
        scratch = pathlib.Path(os.path.realpath(folder))
        options.program = copy_program(options.program, pathlib.Path(os.path.realpath(program_folder)))
        prepare(scratch, options)
        runner = Runner(scratch, options)
        cases = []  # (place, kind of path, check, its words)
        for place in READ + WRITTEN:
            cases += [(place.name, kind, check_bad, (place, kind, path, reason))
                      for kind, path, reason in bad_cases(place)]
            if place.good or place.makes:
                cases += [(place.name, repr(name), check_odd, (place, name)) for name in ODD]
        for leave in (leave_deleted, leave_closed):
            cases += [(name, leave.__name__, check_start, (*how, leave)) for name, how in STARTS.items()]
        cases.append(("BACKPLANE_PLUGIN_PATH", "closed", check_closed_plugins, ()))
        cases += [(" ".join(words[:2]), "no threads", check_no_threads, (words,)) for words in STARTERS]
        cases += [(" ".join(words[:2]), f"{limit} descriptors", check_few_descriptors, (words, limit))
                  for words in OPENERS for limit in range(4, 13)]
        cases += [("run good.yaml", f"{size} MB", check_little_memory, (size << 10,)) for size in range(100, 200, 8)]
        if options.places:
            cases = [case for case in cases if case[0] in options.places]

        def findings(case):
            name, kind, check, words = case
            return "".join(f"{name}, {kind}: {finding}\n" for finding in check(runner, *words))

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            results = [found for found in pool.map(findings, cases) if found]
        os.chmod(scratch / "closed", 0o700)
    sys.stdout.writelines(results)
    print(f"{len(cases)} cases, {len(results)} with findings")
    return 1 if results or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
