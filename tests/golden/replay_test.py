"""`backplane replay` on networks of every family, and on plug-ins that changed since.

    python3 replay_test.py PROGRAM FOLDER     FOLDER: of wrong_gradient.bp.so and mended_gradient.bp.so
"""
import pathlib
import re
import sys
import unittest

import networks
from small_runs import InFolder, backplane

PLUGINS = pathlib.Path(sys.argv[2])
DOUBLED = """
name: doubled
dtype: float64
data: {synthetic: {random: {samples: 12, inputs: 3, classes: 4}}}
network:
  layers:
    - dense: {name: before, units: 5, activation: tanh}
    - doubled: {name: factor}
    - dense: {name: logits, units: 4}
  loss: softmax_cross_entropy
train: {steps: 2, batch_size: 12, optimizer: {sgd: {lr: 0.1}}}
"""


class Replay(InFolder):
    def replay(self, checkpoint, *words, code=0):
        done = backplane("replay", checkpoint, *words, cwd=networks.ROOT)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout if code <= 1 else done.stderr

    def checkpoint(self, experiment, *words):
        done = backplane("run", experiment, "--out", self.folder / "run", *words, cwd=networks.ROOT)
        self.assertEqual(done.returncode, 0, done.stderr)
        return sorted((self.folder / "run/checkpoints").glob("*.h5"))[-1]

    def test_every_layer_gives_its_bits_again(self):
        for network, dtype in networks.CASES:
            with self.subTest(network=network, dtype=dtype):
                experiment = f"tests/golden/networks/{network}.yaml"
                text = self.replay(self.checkpoint(experiment, "--set", f"dtype={dtype}", "--set", "train.steps=3"))
                compared, different = map(int, re.search(r"(\d+) tensors? compared, (\d+) differ", text).groups())
                self.assertEqual(different, 0)
                # With the whole batch stored, nothing is left out but what several layers add to.
                self.assertEqual(text.count("not compared"), text.count("are fed by it and add to it") +
                                 (1 if "; " in text.splitlines()[-1] else 0))
                self.assertGreater(compared, 30)

    def test_rows_of_a_part_of_the_batch_give_their_bits_again(self):
        # 2 of 4 to 8 rows in slices of 3: the first slice is filled up with copies.
        for network in {network for network, _ in networks.CASES}:
            with self.subTest(network=network):
                words = ("dtype=float32", "record.samples=2", "train.slice=3", "train.steps=2")
                text = self.replay(self.checkpoint(f"tests/golden/networks/{network}.yaml",
                                                   *(w for word in words for w in ("--set", word))))
                self.assertNotIn("DIFFERS", text)
                self.assertRegex(text, "gradients/.*not compared: it sums over all . rows")
                self.assertRegex(text, r" z  .*same bits")

    def test_a_plug_in_that_was_mended_shows_what_changed_and_where(self):
        path = self.folder / "doubled.yaml"
        path.write_text(DOUBLED)
        checkpoint = self.checkpoint(path, "--plugin", PLUGINS / "wrong_gradient.bp.so")
        same = self.replay(checkpoint, "--layer", "factor", "--plugin", PLUGINS / "wrong_gradient.bp.so")
        self.assertIn("the build that wrote this checkpoint", same)
        self.assertIn("3 tensors compared, 0 differ", same)
        text = self.replay(checkpoint, "--plugin", PLUGINS / "mended_gradient.bp.so", code=1)
        self.assertIn("not the build that wrote this checkpoint", text)
        differing = [line for line in text.splitlines() if "DIFFERS" in line]
        self.assertEqual(len(differing), 1, text)
        self.assertRegex(differing[0], r"gradients/s +\[5\] +DIFFERS in 5 of 5 elements")
        stored, replayed = map(float, re.search(r"stored (\S+), replayed (\S+)", differing[0]).groups())
        self.assertAlmostEqual(stored, 2 * replayed, delta=abs(stored) * 1e-8)  # nine digits are printed
        without = self.replay(checkpoint, code=78)
        self.assertRegex(without, r"layer 'factor' was computed by plug-in test\.wrong_gradient \S+, which is not here")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
