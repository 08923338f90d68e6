#!/usr/bin/env python3
"""Runs every wrong input of cases/ and compares exit code and messages with what is expected.

A case is cases/<name>.yaml, whose head comments say what is done with it, beside cases/<name>.expected, the exact
stderr:

    # command: run FILE --dry-run      words behind `backplane`; default: run FILE --out TMP/out
    # exit: 78                         the exit code; required
    # stdout: WRONG                    text that stdout must hold; without this line it must stay empty
    # setup: gzip images               a line for /bin/sh -e, run first; may be repeated
    # beside: python3 hold.py          likewise, run after that and beside the command, which begins when it has written
                                       a line; it is to end when its stdin does

Each case runs in an empty directory of its own, into which its YAML and the files of shared/ are copied. In commands,
FILE is the case's YAML, TMP that directory, BAD and GOOD the folders of the test plug-ins; lines for the shell have TMP,
BAD and GOOD as variables, and the programs BACKPLANE and PYTHON. Data sets are looked for in TMP/data, plug-ins in
TMP/plugins too. Expected text names these folders by the same words, PLUGINS is where
the program's own plug-ins stand, and <...> stands for anything within a line.

No case may end by a signal, speak of an internal error, or show a stack trace.
"""

import argparse
import concurrent.futures
import contextlib
import difflib
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
HANGS = 300  # seconds; a guard against endless loops, nothing is measured
FORBIDDEN = ("internal error", "terminate called", "assertion failed", "Sanitizer", "Traceback", "#0 ", "Segmentation")


class Case:
    """The head comments of one file."""

    def __init__(self, path):
        self.path = path
        self.expected_path = path.with_suffix(".expected")
        self.command, self.exit, self.stdout, self.setup = "run FILE --out TMP/out", None, None, []
        self.beside = None
        for line in path.read_text(errors="replace").splitlines():
            found = re.match(r"# (command|exit|stdout|setup|beside): ?(.*)", line)
            if not found:
                continue
            key, value = found.groups()
            if key == "setup":
                self.setup.append(value)
            elif key == "stdout":
                self.stdout = value
            elif key == "beside":
                self.beside = value
            elif key == "exit":
                self.exit = int(value)
            else:
                self.command = value

    def words(self, folders):
        names = {**folders, "FILE": self.path.name}
        pattern = re.compile(r"\b(" + "|".join(names) + r")\b")
        return [pattern.sub(lambda found: names[found.group()], word) for word in shlex.split(self.command)]


def environment(folders, program):
    """Nothing of the caller's settings may change a message; those of sanitizers say what their reports leave out."""
    sanitizers = {name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")}
    return {**sanitizers, "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8", "NO_COLOR": "1", "HOME": folders["TMP"],
            "BACKPLANE": program, "PYTHON": sys.executable,
            "BACKPLANE_DATA": folders["TMP"] + "/data", "BACKPLANE_PLUGIN_PATH": folders["TMP"] + "/plugins",
            **folders}


def normalised(text, folders, program):
    for name, folder in sorted(folders.items(), key=lambda item: -len(item[1])):
        text = text.replace(folder, name)
    return text.replace(str(pathlib.Path(program).parent / "plugins"), "PLUGINS")


def fits(expected, actual):
    pattern = "[^\n]*".join(re.escape(part) for part in expected.split("<...>"))
    return re.fullmatch(pattern, actual) is not None


@contextlib.contextmanager
def running_beside(line, **how):
    """While a line for the shell runs that has written a line; nothing without one."""
    if line is None:
        yield
        return
    with subprocess.Popen(["/bin/sh", "-ec", line], stdin=subprocess.PIPE, stdout=subprocess.PIPE, **how) as process:
        if not process.stdout.readline():
            raise RuntimeError(f"beside `{line}` said nothing")
        yield


def run(case, folders, program):
    """(exit code, stdout, stderr) of one case, in a directory that is already there."""
    scratch = folders["TMP"]
    for file in [case.path, *(HERE / "shared").iterdir()]:
        shutil.copy(file, scratch)
    env = environment(folders, program)
    for line in case.setup:
        done = subprocess.run(["/bin/sh", "-ec", line], cwd=scratch, env=env, capture_output=True, timeout=HANGS)
        if done.returncode != 0:
            raise RuntimeError(f"setup `{line}` failed: {done.stderr.decode(errors='replace')}")
    with running_beside(case.beside, cwd=scratch, env=env):
        done = subprocess.run([program, *case.words(folders)], cwd=scratch, env=env, capture_output=True, timeout=HANGS,
                              stdin=subprocess.DEVNULL)
    out, err = (stream.decode(errors="replace") for stream in (done.stdout, done.stderr))
    err = re.sub(r"==\d+==WARNING: AddressSanitizer failed to allocate .*\n", "", err)  # it is about to be said
    return done.returncode, out, normalised(err, folders, program)


def complaints(case, code, out, err):
    """What is wrong with how a case ended, its messages aside."""
    if case.exit is None:
        yield "its head does not say which exit code is expected"
    elif code < 0:
        yield f"ended by signal {-code}"
    elif code != case.exit:
        yield f"exit code {code}, expected {case.exit}"
    if out and case.stdout is None:
        yield f"wrote to stdout: {out.splitlines()[0]!r} …"
    if case.stdout and case.stdout not in out:
        yield f"does not write {case.stdout!r} to stdout"
    if not err and case.stdout is None:
        yield "says nothing on stderr"
    for words in FORBIDDEN:
        if words in out or words in err:
            yield f"says {words!r}"


def check(case, options):
    """The findings of one case as text, empty where all is as expected."""
    with tempfile.TemporaryDirectory(prefix="bp-error-") as scratch:
        folders = {"TMP": os.path.realpath(scratch), "BAD": options.bad, "GOOD": options.good}
        try:
            code, out, err = run(case, folders, options.program)
        except (RuntimeError, subprocess.TimeoutExpired) as failure:
            return f"{case.path.stem}: {failure}\n"
    expected = case.expected_path.read_text() if case.expected_path.exists() else ""
    findings = [f"{case.path.stem}: {finding}\n" for finding in complaints(case, code, out, err)]
    if not fits(expected, err):
        if options.update:
            case.expected_path.write_text(err)
        else:
            findings.append(f"{case.path.stem}: stderr differs\n")
            findings += difflib.unified_diff(expected.splitlines(True), err.splitlines(True), "expected", "actual")
    return "".join(findings)


def orphans():
    """Expected texts without a case would look like tests and test nothing."""
    for path in sorted((HERE / "cases").glob("*.expected")):
        if not path.with_suffix(".yaml").exists():
            yield f"{path.name}: there is no case of that name\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--bad", required=True, help="folder of the plug-ins that break their contract")
    parser.add_argument("--good", required=True, help="folder of the plug-ins for tests")
    parser.add_argument("--update", action="store_true", help="write what is printed now where it differs: read the diff!")
    parser.add_argument("names", nargs="*", help="cases to run; default: all")
    options = parser.parse_args()
    for folder in ("program", "bad", "good"):
        setattr(options, folder, os.path.realpath(getattr(options, folder)))

    wanted = [path for path in sorted((HERE / "cases").glob("*.yaml")) if not options.names or path.stem in options.names]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda path: check(Case(path), options), wanted))
    findings = [result for result in results + list(orphans()) if result]
    sys.stdout.writelines(findings)
    print(f"{len(wanted)} cases, {len(findings)} with findings")
    return 1 if findings or not wanted else 0


if __name__ == "__main__":
    sys.exit(main())
