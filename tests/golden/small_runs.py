"""What the scripts of this folder share that run small experiments of their own; the first word behind a script is the
program."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.realpath(sys.argv[1])


def backplane(*words, **how):
    """The program, when it has ended."""
    return subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True, **how)


class InFolder(unittest.TestCase):
    """The tests of a class share a folder, which is gone at their end."""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="bp-golden-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)

    @classmethod
    def words_of(cls, text, name="run", *words):
        """What runs the experiment of that text in the folder `name`."""
        path = cls.folder / f"{name}.yaml"
        path.write_text(text)
        return ["run", path, "--out", cls.folder / name, *words]

    @classmethod
    def run_experiment(cls, text, name="run", *words):
        """The folder of a run that has ended well; `printed` is what it said of itself."""
        done = backplane(*cls.words_of(text, name, *words))
        assert done.returncode == 0, done.stderr
        cls.printed = done.stdout
        return cls.folder / name
