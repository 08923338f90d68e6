"""Networks of every family against PyTorch: activations, δ, every gradient, ten optimizer steps, test loss.

    python3 networks_test.py PROGRAM           against the numbers recorded in networks.h5; needs no PyTorch
    python3 networks_test.py PROGRAM --live    against PyTorch itself; exit code 77 where there is none

The worst relative difference of each network is printed.
"""
import sys
import tempfile
import unittest

SKIPPED = 77
SHOWN = 12  # one wrong layer spoils all that is computed from it
PROGRAM, LIVE = sys.argv[1], sys.argv[2:] == ["--live"]
if LIVE:
    try:
        import h5py
        import torch
        import yaml  # noqa: F401  (networks_pytorch reads with it)
    except ImportError as error:
        print(f"skipped: {sys.executable} has no {error.name}; the recorded numbers are compared by golden_networks")
        sys.exit(SKIPPED)
    import networks_pytorch
    print(f"PyTorch {torch.__version__}")
else:
    import h5py

import networks


class Networks(unittest.TestCase):
    def check(self, network, dtype, got, want, of):
        worst, path, mistakes = networks.compare(network, dtype, got, want, networks.BOUNDS[dtype], of)
        print(f"{network:12} {dtype}  {worst:8.1e}  {of}, {len(want)} tensors, worst: {path}", flush=True)
        if mistakes:
            more = [f"… and {len(mistakes) - SHOWN} more tensors"] if len(mistakes) > SHOWN else []
            self.fail("\n".join(["", *mistakes[:SHOWN], *more]))

    def check_recorded(self, run, network, dtype):
        with h5py.File(networks.GOLDEN, "r") as golden:
            self.assertEqual(golden.attrs["torch"], "2.13.0")
            want = networks.load(golden, network, dtype)
        got = run.results()
        for path in want:  # a mismatch here says nothing about layers: the experiment or its initial weights changed
            if path.startswith("start/"):
                self.assertIn(path, got)
                self.assertLessEqual(networks.relative_difference(got[path], want[path]), networks.START_BOUNDS[dtype],
                                     f"{network} {dtype} begins with another {path} than was recorded; if that is "
                                     f"meant, run make_networks.py")
        self.check(network, dtype, got, want, "PyTorch's record")

    def check_live(self, run, network, dtype):
        got = run.results()
        exact = networks_pytorch.results(run, torch.float64)
        self.check(network, dtype, got, exact, "PyTorch float64")
        if dtype == "float32":
            same = networks_pytorch.results(run, torch.float32)
            self.check(network, dtype, got, same, "PyTorch float32")
            print(f"{network:12} PyTorch's own float32 from its float64: "
                  f"{networks.compare(network, dtype, same, exact, 1)[0]:.1e}")

    def test_every_network(self):
        with tempfile.TemporaryDirectory() as folder:
            for network, dtype in networks.CASES:
                with self.subTest(network=network, dtype=dtype), networks.Run(PROGRAM, network, dtype, folder) as run:
                    (self.check_live if LIVE else self.check_recorded)(run, network, dtype)

    @unittest.skipUnless(LIVE, "PyTorch's work")
    def test_entries_of_the_list_are_what_pytorch_calls_num_layers(self):
        with tempfile.TemporaryDirectory() as folder, networks.Run(PROGRAM, "lstm", "float64", folder) as run:
            want = networks_pytorch.stacked_lstm(run, ["first", "second", "last"])
            self.assertLessEqual(networks.relative_difference(run.results()["first/last/z"], want), 1e-10)

    @unittest.skipIf(LIVE, "about the record")
    def test_a_wrong_number_is_found_and_named(self):
        with h5py.File(networks.GOLDEN, "r") as golden:
            for network, dtype in networks.CASES:
                bound = networks.BOUNDS[dtype]
                for path, want in networks.load(golden, network, dtype).items():
                    last = tuple(extent - 1 for extent in want.shape)
                    wrong = want.astype("float64")
                    wrong[last] += 2 * bound * (abs(want).max() or 1)
                    _, _, mistakes = networks.compare(network, dtype, {path: wrong}, {path: want}, bound)
                    self.assertEqual(len(mistakes), 1, path)
                    self.assertIn(f"{network} {dtype} {path}: relative difference", mistakes[0])
                    self.assertIn(f"at {list(last)}: {wrong[last]:.17g}, PyTorch: {want[last]:.17g}", mistakes[0])
                    self.assertEqual(len(networks.compare(network, dtype, {}, {path: want}, bound)[2]), 1)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
