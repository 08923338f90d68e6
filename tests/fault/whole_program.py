"""What the scripts of this folder share that run the whole program: its path, folders, and how long to wait for it."""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

HANGS = 600  # seconds; a guard against endless loops, nothing is measured
OPTIONS = None  # of the command line; set by read_command_line


def read_command_line(text, **more):
    """`text`: what --help says; `more`: further options, as add_argument takes them. What is left is unittest's."""
    global OPTIONS
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    for name, how in more.items():
        parser.add_argument("--" + name.replace("_", "-"), **how)
    OPTIONS, rest = parser.parse_known_args()
    OPTIONS.program = os.path.realpath(OPTIONS.program)
    sys.argv[1:] = rest
    return OPTIONS


def backplane(*words, **how):
    """The program, when it has ended."""
    return subprocess.run([OPTIONS.program, *map(str, words)], capture_output=True, text=True, **{"timeout": HANGS, **how})


class InFolder(unittest.TestCase):
    """Each test has a folder of its own, which is gone at its end, as are the processes that it started."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="bp-fault-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(os.path.realpath(folder.name))

    def write(self, text, name="run.yaml"):
        path = self.folder / name
        path.write_text(text)
        return path

    def start(self, *words, stderr=subprocess.DEVNULL, **how):
        process = subprocess.Popen([OPTIONS.program, *map(str, words)], cwd=self.folder, stderr=stderr,
                                   **{"stdout": subprocess.DEVNULL, **how})
        self.addCleanup(lambda: (process.kill(), process.wait()))
        return process

    def wait_until(self, process, condition, what, said=lambda: ""):
        begin = time.monotonic()
        while not condition():
            self.assertIsNone(process.poll(), f"ended before {what}: {said()}")
            self.assertLess(time.monotonic() - begin, HANGS, f"{what} was never met: {said()}")
            time.sleep(0.001)
