"""Runs the blocks of framework/checkpoint/READERS.md, each in a process of its own, on the files of a small run.

    python3 readers_test.py PROGRAM

Blocks in Python whose modules are not there are skipped, and it is said which.
"""
import importlib.util
import re
import subprocess
import sys
import unittest

import networks
from small_runs import PROGRAM, InFolder

READERS = networks.ROOT / "framework/checkpoint/READERS.md"
EXPERIMENT = """
name: mlp
data: {synthetic: {random: {samples: 40, inputs: 3, classes: 4}}}
network:
  layers:
    - dense: {name: hidden1, units: 5, activation: tanh}
    - dense: {name: hidden2, units: 5, activation: tanh}
    - dense: {name: logits, units: 4}
  loss: softmax_cross_entropy
train: {steps: 3, batch_size: 16, optimizer: sgd}
"""


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", READERS.read_text(), re.DOTALL)


class Readers(InFolder):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        (cls.folder / "mlp.yaml").write_text(EXPERIMENT)
        cls.run_words([PROGRAM, "run", "mlp.yaml"])
        (cls.folder / "backplane").symlink_to(PROGRAM)
        for block in blocks("sh"):
            cls.printed = cls.run_words(["sh", "-ec", f"PATH={cls.folder}:$PATH\n{cls.of_this_run(block)}"])
            if block.startswith("h5dump"):
                cls.dumped = cls.printed

    @staticmethod
    def of_this_run(block):
        return block.replace("step-00001290", "step-00000003")

    @classmethod
    def run_words(cls, words):
        done = subprocess.run(list(map(str, words)), cwd=cls.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def test_h5dump(self):
        self.assertIn("H5T_IEEE_F32LE", self.dumped)
        self.assertIn("(1,0):", self.dumped)

    def test_python(self):
        wanted = {"h5py": ["(16, 5) ['sample', 'unit'] dC/dz", "samples ["],
                  "xarray": ["('sample', 'unit_5')", "(5, 3)"],
                  "numpy": ["'hidden1.W': (5, 3)"],
                  "torch": []}
        seen = set()
        for block in blocks("python"):
            modules = re.findall(r"^(?:import|from) (\w+)", block, re.MULTILINE)
            seen.add(modules[0])
            needed = modules + (["h5netcdf"] if "h5netcdf" in block else [])
            absent = [module for module in needed if importlib.util.find_spec(module) is None]
            if absent:
                print(f"skipped: the block of {modules[0]}; {sys.executable} has no {', '.join(absent)}")
                continue
            with self.subTest(modules=modules):
                printed = self.run_words([sys.executable, "-c", self.of_this_run(block)])
                for words in wanted[modules[0]]:
                    self.assertIn(words, printed)
        self.assertEqual(seen, set(wanted))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
