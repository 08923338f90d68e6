#!/usr/bin/env python3
"""Checkpoints and traces that were edited, each checkpoint with a manifest that vouches for what it is now: whoever
reads them says what does not fit, and where.

    edited_test.py --program PROGRAM
"""

import hashlib
import json
import os
import shutil
import unittest
import zipfile

import h5py
import numpy as np

from whole_program import InFolder, backplane, read_command_line

# Every kind of tensor in small: parameters, what an optimizer keeps, what a layer carries on, what backward reads.
EXPERIMENT = """
name: small
seed: 5
data: {synthetic: {random: {samples: 16, inputs: [3, 2], classes: 2}}}
network:
  layers:
    - lstm: {name: memory, units: 4, stateful: true, output: last}
    - dense: {name: logits, units: 2, activation: tanh}
    - dense: {name: out, units: 2}
  loss: softmax_cross_entropy
train: {steps: 4, batch_size: 8, streams: true, shuffle: false, optimizer: momentum}
record: {every: 1, taps: [activation, delta, weights], samples: 8, statistics: {every: 2}}
checkpoint: {every: 2}
"""
STEP = "step-00000004.h5"
LOGITS, OUT, MEMORY = "layers/logits", "layers/out", "layers/memory"


def without(path):
    def edit(file):
        del file[path]
    return edit


def put(path, value, **how):
    """A data set with the labels of the one whose place it takes, where both have as many axes."""
    def edit(file):
        labels = [dim.label for dim in file[path].dims] if path in file else []
        if path in file:
            del file[path]
        data = file.create_dataset(path, data=value, **how)
        for axis, label in enumerate(labels if data.shape is not None and len(labels) == data.ndim else []):
            data.dims[axis].label = label
    return edit


def put_link(path, link):
    def edit(file):
        del file[path]
        file[path] = link
    return edit


def put_group(path):
    def edit(file):
        del file[path]
        file.create_group(path)
    return edit


def many_links(file):
    group = file.create_group(f"{LOGITS}/many")
    for i in range(4097):
        group[str(i)] = file[f"{LOGITS}/z"]


def zeros(path, *shape, dtype="<f4"):
    return put(path, np.zeros(shape, dtype))


def widen(path):
    return lambda file: put(path, file[path][()].astype("<f8"))(file)


def attribute(path, name, value):
    return lambda file: file[path].attrs.create(name, value)


def swap_names(file):
    names = file["layer_names"][()]
    put("layer_names", names[::-1])(file)


# What any reader of checkpoints says: (edit, words).
OF_THE_READER = {
    "of the future": (attribute("/", "format_version", 7), "has format version 7, this program reads version 1"),
    "of nobody": (attribute("/", "format", np.bytes_(b"table")), "is an HDF5 file, but no checkpoint"),
    "integers for weights": (zeros(f"{LOGITS}/weights/W", 2, 4, dtype="<i4"), "/layers/logits/weights/W holds no numbers"),
    "deep groups": (zeros(f"{LOGITS}/a/b/c/d", 1), "/layers/logits holds groups in groups in groups"),
    "a list for a number": (zeros("state/epoch", 2, dtype="<i8"), "/state/epoch is no single number"),
    "a group for a number": (lambda file: file.create_group("state/more"), "/state/more is no number"),
    "losses of fewer samples": (zeros("probe/loss", 3, dtype="<f8"), "the probe's tensors have different numbers of samples"),
    "inputs of fewer samples": (zeros("probe/input", 3, 3, 2), "the probe's tensors have different numbers of samples"),
    "targets of fewer samples": (zeros("probe/target", 3, 2), "the probe's tensors have different numbers of samples"),
    "no batch size": (without("state/batch_size"), "/state/batch_size is missing"),
    "no batch loss": (without("state/batch_loss"), "/state/batch_loss is missing"),
    "no delta": (without(f"{LOGITS}/delta"), "layer logits has no delta for these samples"),
    "z of fewer samples": (zeros(f"{LOGITS}/z", 3, 2), "layer logits has no z for these samples"),
    "a layer without its group": (without(LOGITS), "/layers/logits is missing"),
}
OF_REPLAY = {
    "layers in another order": (swap_names, "its layers are not those of its /config"),
    "a batch smaller than its stored rows": (put("state/batch_size", 7), "8 samples of a batch of 7 are stored"),
    "a batch larger than that of /config": (put("state/batch_size", 9), "8 samples of a batch of 9 are stored, where "
                                                                        "train.batch_size is 8"),
    "too few lengths": (zeros("probe/length", 3, dtype="<i8"), "/probe/length is no list of 8 numbers from 0 to 3"),
    "a length beyond the sequence": (put("probe/length", np.full(8, 4)), "/probe/length is no list of 8 numbers from 0 to 3"),
    "a negative length": (put("probe/length", np.full(8, -1)), "/probe/length is no list of 8 numbers from 0 to 3"),
    "targets of another width": (zeros("probe/target", 8, 3), "/probe/target has shape [8, 3], the last layer gives [8, 2]"),
    "inputs of another type": (widen("probe/input"), "/probe/input is float64, the network computes in float32"),
    "targets of another type": (widen("probe/target"), "/probe/target is float64, the network computes in float32"),
    "gates of another type": (widen(f"{MEMORY}/gates"), "/layers/memory/gates is float64, the network computes in float32"),
    "no weights": (without(f"{LOGITS}/weights/W"), "layer 'logits': the checkpoint has no weights/W"),
    "weights of another shape": (zeros(f"{LOGITS}/weights/W", 4, 2),
                                 "layer 'logits': weights/W has shape [4, 2] in the checkpoint, the layer now wants [2, 4]"),
    "inputs of another width": (zeros("probe/input", 8, 3, 5), "layer 'memory': weights/W_ih has shape [16, 2] in the "
                                                               "checkpoint, the layer now wants [16, 5]"),
    "z of another width": (zeros(f"{LOGITS}/z", 8, 3), "layer 'logits': z has shape [8, 3] in the checkpoint, the layer "
                                                       "now wants [8, 2]"),
    "a gradient of another width": (zeros(f"{LOGITS}/activation_gradient", 8, 3), "layer 'logits': activation_gradient"),
    "a producer without gradient": (without(f"{MEMORY}/activation_gradient"),
                                    "layer 'memory': the checkpoint has no activation_gradient"),
    "no state": (without(f"{MEMORY}/state/cell"), "layer 'memory': the checkpoint has no state 'cell' of this shape"),
    "state of another width": (zeros(f"{MEMORY}/state/cell", 8, 5), "the checkpoint has no state 'cell' of this shape"),
    "state of fewer rows": (zeros(f"{MEMORY}/state/cell", 7, 4), "the checkpoint has no state 'cell' of this shape"),
    "state that is one number": (put(f"{MEMORY}/state/cell", np.float32(1)), "the checkpoint has no state 'cell' of this shape"),
}
OF_RESUMING = {
    "no weights": (without(f"{LOGITS}/weights/W"), "the checkpoint has no logits/weights/W [2, 4]"),
    "no slots of the optimizer": (without(f"{LOGITS}/optimizer"), "the checkpoint has no logits/optimizer/W/velocity [2, 4]"),
    "weights of another shape": (zeros(f"{LOGITS}/weights/W", 4, 2),
                                 "logits/weights/W is float32 [4, 2] in the checkpoint and float32 [2, 4] in the network"),
    "weights of another type": (widen(f"{LOGITS}/weights/W"),
                                "logits/weights/W is float64 [2, 4] in the checkpoint and float32 [2, 4] in the network"),
    "weights of a stranger": (zeros(f"{LOGITS}/weights/U", 3), "the checkpoint has logits/weights/U [3], the network has not"),
    "state of a stranger": (zeros(f"{LOGITS}/state/s", 3), "the checkpoint has logits/state/s [3], the network has not"),
    "state of fewer rows": (zeros(f"{MEMORY}/state/cell", 7, 4),
                            "memory/state/cell is float32 [7, 4] in the checkpoint and float32 [8, 4] in the network"),
    "no epoch": (without("state/epoch"), "the checkpoint has no /state/epoch"),
    "no sum of losses": (without("state/epoch_loss_sum"), "the checkpoint has no /state/epoch_loss_sum"),
    "a batch behind the epoch": (put("state/position", 2), "the checkpoint stands at batch 2 of an epoch, which has 2 batches"),
    "a batch before the epoch": (put("state/position", -1), "/state/position is -1, which counts nothing"),
    "a step before the first": (put("state/step", -1), "/state/step is -1, which counts nothing"),
}
# Of checkpoints and traces, of which no manifest is asked.
OF_INSPECT = {
    "checkpoint": {
        "big-endian numbers": (put(f"{LOGITS}/z", np.zeros((8, 2), ">f4")), "/layers/logits/z holds no little-endian numbers"),
        "numbers of one byte": (put(f"{LOGITS}/z", np.zeros((8, 2), "<i1")), "/layers/logits/z holds numbers of a strange size"),
        "a list for a number": (zeros("state/epoch", 2, dtype="<i8"), "/state/epoch is no single number"),
        "of the future": (attribute("/", "format_version", 7), "it has format version 7, this program reads version 1"),
        "names of fewer layers": (put("layer_names", np.array([b"memory", b"out"])),
                                  "/layer_names does not name the groups of /layers"),
        "deep groups": (zeros(f"{LOGITS}/a/b/c/d/e", 1), "/layers/logits holds groups in groups in groups"),
        "a row for fewer samples": (zeros(f"{LOGITS}/z", 7, 2), "/layers/logits/z has no row for each sample"),
        "a text for a data set": (put("scales/sample", np.bytes_(b"none")), "/scales/sample holds no numbers"),
        "a link for a data set": (put_link("scales/sample", h5py.SoftLink("/probe/loss")), "/scales/sample is a link to elsewhere"),
        "a link among tensors": (put_link(f"{LOGITS}/z", h5py.SoftLink(f"/{OUT}/z")),
                                 "/layers/logits holds a link to elsewhere, or one that leads nowhere"),
        "a group for a data set": (put_group("probe/loss"), "/probe/loss is no data set"),
        "data in another file": (put(f"{LOGITS}/z", None, shape=(8, 2), dtype="<f4", external=[("raw", 0, 64)]),
                                 "/layers/logits/z keeps its data elsewhere"),
        "a foreign filter": (put(f"{LOGITS}/z", np.zeros((8, 2), "<f4"), compression="lzf"),
                             "/layers/logits/z is stored with filter 32000, which no file of Backplane has"),
        "no elements": (put(f"{LOGITS}/z", h5py.Empty("<f4")), "a data set has no elements"),
        "elements that were never written": (put(f"{LOGITS}/z", None, shape=(8, 1 << 20), dtype="<f4", chunks=(8, 1)),
                                             "a data set has 0 stored bytes, which cannot hold its 33554432 bytes"),
        "4097 tensors": (many_links, "/layers/logits holds too many tensors"),
        "a definition of numbers": (attribute(f"{LOGITS}/z", "definition", 3), "definition is not what is expected there"),
    },
    "trace": {
        "of the future": (attribute("/", "format_version", 7), "it has format version 7, this program reads version 1"),
        "no steps": (without("scales/step"), "/scales/step is missing"),
        "steps of two axes": (zeros("scales/step", 4, 1, dtype="<i8"), "/scales/step is no list"),
        "samples of fewer steps": (zeros("scales/sample", 3, 8, dtype="<i8"), "/scales/sample has no row for each step"),
        "records of fewer steps": (zeros(f"{LOGITS}/delta", 3, 8, 2), "/layers/logits/delta has no record for each step"),
        "a row for fewer samples": (zeros(f"{LOGITS}/delta", 4, 7, 2), "/layers/logits/delta has no row for each sample"),
        "names of fewer layers": (put("layer_names", np.array([b"memory", b"out"])),
                                  "/layer_names does not name the groups of /layers"),
        "texts for names": (put("layer_names", np.arange(3)), "/layer_names holds no names"),
        "names of two axes": (put("layer_names", np.array([[b"memory", b"logits", b"out"]])), "/layer_names is no list"),
    },
}



def npy(dictionary, data=bytes(32), magic=b"\x93NUMPY\x01\x00", length=None):
    """An array of NumPy with any header; `data` is that of 2 × 4 float32 if nothing else is said."""
    return magic + (len(dictionary) if length is None else length).to_bytes(2, "little") + dictionary.encode() + data


def header(descr="'<f4'", order="False", shape="(2, 4)", more=""):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, {more}}}"


# One member of an npz that is read as weights: (its bytes, words).
OF_NPZ = {
    "no array": (bytes(64), "it does not begin as an array of NumPy does"),
    "version 9": (npy(header(), magic=b"\x93NUMPY\x09\x00"), "it has version 9 of the format, 1 to 3 are known"),
    "header cut off": (npy(header(), b"", length=9999), "its header of 9999 bytes is not there"),
    "no braces": (npy("'descr'"), "its header lacks a '{'"),
    "no text": (npy("{7: 1}"), "its header lacks a text"),
    "text without end": (npy("{'descr"), "a text of its header has no end"),
    "no truth": (npy(header(order="0")), "its header lacks True or False"),
    "negative extent": (npy(header(shape="(-2, 4)")), "its shape has an extent that is no count"),
    "unknown key": (npy(header(more="'code': 'x'")), "its header has an unknown key 'code'"),
    "no shape": (npy("{'descr': '<f4', 'fortran_order': False}"), "its header lacks descr, fortran_order or shape"),
    "33 axes": (npy(header(shape=f"({'1, ' * 33})")), "a shape of 33 axes"),
    "too large": (npy(header(shape=f"({1 << 48}, {1 << 48})")), "is too large to be"),
    "data of another size": (npy(header(), bytes(31)), "'logits.W.npy' of shape [2, 4] and type <f4 takes"),
}


class Edited(InFolder):
    def setUp(self):
        super().setUp()
        done = backplane("run", self.write(EXPERIMENT), "--out", self.folder / "run")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.checkpoints = self.folder / "run/checkpoints"
        self.checkpoint = self.checkpoints / STEP
        self.good = self.checkpoint.read_bytes()

    def edit(self, change):
        """The newest checkpoint, changed; the manifest names it alone."""
        self.checkpoint.write_bytes(self.good)
        with h5py.File(self.checkpoint, "r+") as file:
            change(file)
        self.vouch()

    def vouch(self, **entry):
        data = self.checkpoint.read_bytes()
        entry = {"file": STEP, "step": 4, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), **entry}
        for copy in self.checkpoints.glob("MANIFEST*"):
            copy.unlink()
        (self.checkpoints / "MANIFEST.json").write_text(json.dumps({"checkpoints": [entry]}))

    def assert_refused(self, words, code, said):
        done = backplane(*words)
        self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)
        self.assertIn(said, done.stderr)
        return done.stderr

    def test_the_edited_checkpoint_is_read_where_nothing_is_changed(self):
        self.edit(lambda file: file)
        for words in (["replay", self.checkpoint], ["inspect", self.checkpoint],
                      ["run", self.folder / "run.yaml", "--out", self.folder / "run", "--resume=loose", "--set", "train.steps=6"]):
            done = backplane(*words)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_no_reader_takes_what_is_no_checkpoint(self):
        for name, (change, said) in OF_THE_READER.items():
            with self.subTest(name):
                self.edit(change)
                text = self.assert_refused(["replay", self.checkpoint], 65, said)
                self.assertIn(str(self.checkpoint), text)

    def test_replay_takes_nothing_that_does_not_fit(self):
        for name, (change, said) in OF_REPLAY.items():
            with self.subTest(name):
                self.edit(change)
                text = self.assert_refused(["replay", self.checkpoint], 65, said)
                self.assertIn(str(self.checkpoint), text)
        self.edit(zeros(f"{MEMORY}/activation", 8, 5))
        self.assert_refused(["replay", self.checkpoint, "--layer", "logits"], 65, "layer 'memory': activation has shape [8, 5]")
        self.edit(put("config", np.bytes_(b"network: [")))
        self.assert_refused(["replay", self.checkpoint], 78, f"{self.checkpoint}:/config:2:1: error: not valid YAML")

    def test_replay_of_what_is_no_number(self):
        self.edit(lambda file: file[f"{OUT}/weights/b"].write_direct(np.array([np.nan, 0], "<f4")))
        done = backplane("replay", self.checkpoint, "--layer", "out")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stdout, r" z +\[8, 2\] +DIFFERS in \d+ of 16 elements, some NaN; farthest \[0, 0\]")

    def test_replay_leaves_out_what_is_not_there(self):
        self.edit(without(f"{OUT}/gradients/W"))
        done = backplane("replay", self.checkpoint, "--layer", "out")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"gradients/W +\[2, 2\] +not compared: the checkpoint has none of this shape")

    def test_nothing_goes_on_from_what_does_not_fit(self):
        for name, (change, said) in OF_RESUMING.items():
            with self.subTest(name):
                self.edit(change)
                self.assert_refused(["run", self.folder / "run.yaml", "--out", self.folder / "run", "--resume=loose", "--set",
                                     "train.steps=6"], 65, said)

    def test_inspect_shows_nothing_that_is_not_whole(self):
        for kind, cases in OF_INSPECT.items():
            good = self.checkpoint if kind == "checkpoint" else self.folder / "run/trace.h5"
            for name, (change, said) in cases.items():
                with self.subTest(kind=kind, case=name):
                    path = self.folder / "edited.h5"  # beside which there is no manifest
                    shutil.copy(good, path)
                    with h5py.File(path, "r+") as file:
                        change(file)
                    self.assertIn(str(path), self.assert_refused(["inspect", path], 65, said))

    def test_no_weights_are_taken_from_what_is_no_npz(self):
        weights = self.folder / "weights.npz"
        begin = ["run", self.folder / "run.yaml", "--out", self.folder / "begun", "--weights", weights]
        good = npy(header())
        cases = {name: ({"logits.W.npy": data}, f"{said}") for name, (data, said) in OF_NPZ.items()}
        cases["a member that is no array"] = {"readme.txt": good}, "its member 'readme.txt' is no array: an npz holds <name>.npy"
        for name, (members, said) in cases.items():
            with self.subTest(name):
                with zipfile.ZipFile(weights, "w") as archive:
                    for member, data in members.items():
                        archive.writestr(member, data)
                self.assertIn(str(weights), self.assert_refused(begin, 65, said))
        weights.write_bytes(b"PK\3\4" + bytes(100))
        self.assert_refused(begin, 65, "its zip archive is damaged")

    def test_a_folder_for_temporary_files_that_is_none(self):
        verify, measure = ["verify-resume", "run.yaml"], ["run", "run.yaml", "--dry-run"]
        for words, folder, said in ((verify, "none", "none: there is no such directory for temporary files"),
                                    (verify, "/proc", "/proc: no directory can be made there"),
                                    (measure, "none", "none: there is no such directory for temporary files")):
            done = backplane(*words, cwd=self.folder, env={**os.environ, "TMPDIR": folder})
            self.assertEqual(done.returncode, 74, done.stderr)
            self.assertIn(said, done.stderr)

    def test_manifests_that_make_no_sense(self):
        manifest = self.checkpoints / "MANIFEST.json"
        self.edit(lambda file: file)
        good = json.loads(manifest.read_text())
        replay = ["replay", self.checkpoint]
        for name, change, code, said in (
                ("no list", {"checkpoints": {}}, 65, "MANIFEST.json: is damaged"),
                ("other digest", {"sha256": "0" * 64}, 65, "MANIFEST.json: is damaged: its own SHA-256 differs"),
                ("of the future", {"format_version": 7}, 65, "MANIFEST.json: has format version 7, this program reads version 1")):
            with self.subTest(name):
                manifest.write_text(json.dumps({**good, **change}))
                self.assert_refused(replay, code, said)
        for name, entry, said in (("of another size", {"bytes": 1}, "bytes, its manifest says 1: it is damaged"),
                                  ("of another digest", {"sha256": "0" * 64}, "its SHA-256 differs from its manifest"),
                                  ("of another name", {"file": "step-00000003.h5"}, "is not in MANIFEST.json"),
                                  ("elsewhere", {"file": "../" + STEP}, "is not in MANIFEST.json")):
            with self.subTest(name):
                self.vouch(**entry)
                self.assert_refused(replay, 65, said)
        manifest.unlink()
        self.assert_refused(replay, 66, "there is no MANIFEST.json beside it to verify it by")

    def test_entries_that_make_no_sense_are_said_and_passed_over(self):
        manifest = self.checkpoints / "MANIFEST.json"
        self.edit(lambda file: file)
        good = json.loads(manifest.read_text())
        resume = ["run", self.folder / "run.yaml", "--out", self.folder / "run", "--resume=loose", "--set", "train.steps=5"]
        for name, change, said in (
                ("elsewhere", {"checkpoints": [{**good["checkpoints"][0], "file": "../x.h5"}, good["checkpoints"][0]]},
                 "entry 1 of MANIFEST.json makes no sense: '../x.h5' is no name of a checkpoint (step-<8 digits>.h5)"),
                ("no size", {"checkpoints": [{"file": "step-00000002.h5"}, good["checkpoints"][0]]},
                 "entry 1 of MANIFEST.json makes no sense"),
                ("removes elsewhere", {"removing": ["../run.yaml"]},
                 "'removing' of MANIFEST.json makes no sense: '../run.yaml' is no name of a checkpoint (step-<8 digits>.h5)")):
            with self.subTest(name):
                self.edit(lambda file: file)
                manifest.write_text(json.dumps({**good, **change}))
                done = backplane(*resume)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn(said, done.stderr)
                self.assertTrue((self.folder / "run.yaml").exists())
        self.edit(lambda file: file)
        shutil.copy(manifest, self.checkpoints / "MANIFEST.copy.json")
        manifest.write_text("{")
        done = backplane(*resume)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("MANIFEST.json: is damaged; its copy MANIFEST.copy.json is used", done.stderr)


if __name__ == "__main__":
    read_command_line(__doc__)
    unittest.main()
