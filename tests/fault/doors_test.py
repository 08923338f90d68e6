#!/usr/bin/env python3
"""Files, directories and runs that somebody else made, and outputs that lead somewhere: what SECURITY.md promises.

    python3 doors_test.py --program PROGRAM
"""
import fcntl
import json
import os
import pathlib
import resource
import shutil
import stat
import struct
import subprocess
import threading
import unittest

import h5py

from whole_program import HANGS, InFolder, backplane, read_command_line

EXPERIMENT = """
name: small
seed: 5
data: {synthetic: {random: {samples: 16, inputs: 3, classes: 2}}}
network:
  layers:
    - dense: {name: hidden, units: 4, activation: tanh}
    - dense: {name: logits, units: 2}
  loss: softmax_cross_entropy
train: {steps: 4, batch_size: 8, optimizer: {sgd: {lr: 0.1}}}
record: {every: 2, taps: [activation], samples: 4}
"""
STEP = "step-00000004.h5"
MORE = ["--set", "train.steps=6", "--resume=loose"]
ESCAPE = "\x1b]0;owned\x07\u202e"
DEEP = 200_000


class Doors(InFolder):
    def setUp(self):
        super().setUp()
        self.write(EXPERIMENT)
        self.run_folder = self.folder / "run"
        self.do(0, "run", "run.yaml", "--out", "run")
        self.checkpoint = self.run_folder / "checkpoints" / STEP
        self.secret = self.folder / "secret"
        self.secret.write_text("years of work")

    def do(self, code, *words, said="", **how):
        """Runs the program in the test's folder; it ends with this code and says that, and nothing that moves a terminal."""
        done = backplane(*words, cwd=self.folder, stdin=subprocess.DEVNULL, **how)
        self.assertEqual(done.returncode, code, f"{words}: {done.stderr}")
        self.assertIn(said, done.stdout + done.stderr)
        for control in ESCAPE[0], ESCAPE[-1], "\x07":
            self.assertNotIn(control, done.stdout + done.stderr)
        return done

    def resume(self, code=0, **how):
        return self.do(code, "run", "run.yaml", "--out", "run", *MORE, **how)

    def vouch(self, **fields):
        """Other fields in the manifest of the run, and in its copy."""
        for name in "MANIFEST.json", "MANIFEST.copy.json":
            path = self.run_folder / "checkpoints" / name
            manifest = json.loads(path.read_text())
            manifest.pop("sha256", None)
            path.write_text(json.dumps({**manifest, **fields}))


class RunDirectories(Doors):
    FILES = ["metrics.jsonl", "run.lock", "config.yaml", "trace.h5", "summary.json", "generated.txt",
             "checkpoints/MANIFEST.json", "checkpoints/MANIFEST.copy.json", f"checkpoints/{STEP}",
             "checkpoints/step-00000006.h5"]

    def instead(self, name, make):
        """Resumes with something else in the place of a file of the run, which is refused, and puts the file back."""
        place, aside = self.run_folder / name, self.folder / "aside"
        if place.exists():
            shutil.move(place, aside)
        make(place)
        done = self.resume(74, said=f"{name.split('/')[-1]}")
        self.assertIn("not a", done.stderr)
        place.unlink()
        if aside.exists():
            shutil.move(aside, place)

    def test_a_link_in_the_place_of_a_file_is_not_followed(self):
        elsewhere = self.folder / "elsewhere"
        for name in [*self.FILES, "checkpoints"]:
            for target in elsewhere, self.secret:  # one that dangles, and one that does not
                with self.subTest(name, target=target.name):
                    self.instead(name, lambda place: place.symlink_to(target))
                    self.assertFalse(elsewhere.exists())
                    self.assertEqual(self.secret.read_text(), "years of work")
        self.resume()

    def test_a_fifo_in_the_place_of_a_file_is_not_waited_for(self):
        for name in self.FILES:
            with self.subTest(name):
                self.instead(name, os.mkfifo)
        self.resume()

    def test_the_run_directory_itself_may_be_a_link(self):
        shutil.move(self.run_folder, self.folder / "disk")
        self.run_folder.symlink_to("disk")
        self.resume()
        self.assertTrue((self.folder / "disk/checkpoints/step-00000006.h5").exists())

    def test_dots_behind_a_link_mean_what_the_system_takes_them_for(self):
        """Out of the directory that the link leads to: as a shell's `ls link/..` does."""
        (self.folder / "other/dir").mkdir(parents=True)
        (self.folder / "link").symlink_to("other/dir")
        (self.folder / "far").symlink_to("link/../runs/new")
        for given, meant in ("link/../x", "other/x"), ("link/./../y/", "other/y"), ("far", "other/runs/new"), \
                ("other/dir/../../plain", "plain"), ("other/dir/.", "other/dir"), ("not-yet/../z", "z"):
            with self.subTest(given):
                self.do(0, "run", "run.yaml", "--out", given)
                self.assertTrue((self.folder / meant / "summary.json").exists())
                again = self.do(0, "run", "run.yaml", "--out", given, *MORE)
                self.assertIn("goes on from step 4", again.stderr)
                self.do(0, "run", "run.yaml", "--out", given, said=f"{meant.split('/')[-1]}.1")
                self.assertTrue((self.folder / (meant + ".1") / "summary.json").exists())
        self.assertFalse((self.folder / "x").exists())

    def test_a_link_in_the_place_of_a_temporary_file_is_never_opened(self):
        most = int(pathlib.Path("/proc/sys/kernel/pid_max").read_text())

        def lay_links():
            """In the process that becomes the program: for its own number, and those of processes that it may start."""
            for number in range(os.getpid(), os.getpid() + 3000):
                for name in "config.yaml", "metrics.jsonl", "summary.json", "trace.h5", "checkpoints/MANIFEST.json":
                    (self.run_folder / f"{name}.tmp-{number % most}").symlink_to(self.secret)
        self.resume(preexec_fn=lay_links)
        self.assertEqual(self.secret.read_text(), "years of work")

    def test_repair_of_a_name_that_leaves_no_room_for_a_temporary_one(self):
        name = "x" * 245
        with h5py.File(self.run_folder / "trace.h5", "r+", libver="latest") as trace:
            trace.swmr_mode = True  # as a run that was killed leaves it
            shutil.copy(self.run_folder / "trace.h5", self.folder / name)
        self.do(74, "inspect", name, "--repair", said="hint: shorten the name")

    def test_repair_follows_no_link(self):
        shutil.move(self.run_folder / "trace.h5", self.folder / "other.h5")
        before = (self.folder / "other.h5").stat().st_ino
        (self.run_folder / "trace.h5").symlink_to("../other.h5")
        self.do(74, "inspect", "run", "--repair", said="trace.h5: is a link, not a regular file")
        self.assertEqual((self.folder / "other.h5").stat().st_ino, before)

    def test_a_manifest_removes_nothing_but_checkpoints(self):
        notes = self.run_folder / "checkpoints" / "notes.txt"
        notes.write_text("years of work")
        self.vouch(removing=["notes.txt"])
        self.resume(said="'notes.txt' is no name of a checkpoint")
        self.assertEqual(notes.read_text(), "years of work")

    def test_a_manifest_reads_nothing_but_checkpoints(self):
        manifest = json.loads((self.run_folder / "checkpoints/MANIFEST.json").read_text())
        entry = manifest["checkpoints"][-1]
        shutil.copy(self.checkpoint, self.checkpoint.with_name("notes.h5"))
        self.vouch(checkpoints=[{**entry, "file": "notes.h5"}, entry])
        self.resume(said="'notes.h5' is no name of a checkpoint")

    def test_the_lock_is_only_for_who_may_write(self):
        lock = self.run_folder / "run.lock"
        self.assertEqual(stat.S_IMODE(lock.stat().st_mode), 0o600)
        with lock.open("rb") as reader:
            fcntl.flock(reader, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.resume()
        with lock.open("r+b") as writer:
            whole = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            fcntl.fcntl(writer, getattr(fcntl, "F_OFD_SETLK", 37), whole)
            self.resume(74, said="another run is writing here")

    def test_a_lock_that_others_may_read_is_made_ours(self):
        lock = self.run_folder / "run.lock"
        lock.chmod(0o644)
        self.resume()
        self.assertEqual(stat.S_IMODE(lock.stat().st_mode), 0o600)


class LostCheckpoints(Doors):
    """A resume of a run whose checkpoints are gone, or cannot be looked at, loses nothing of what is there."""

    def files(self, folder):
        return {path.name: path.read_bytes() for path in (self.folder / folder).iterdir() if path.name != "run.lock"
                and path.is_file()}

    def test_that_are_gone(self):
        shutil.rmtree(self.run_folder / "checkpoints")
        before = self.files("run")
        self.resume(said="was moved to run.1")
        self.assertEqual(self.files("run.1"), before)

    def test_that_cannot_be_looked_at(self):
        """By somebody who may not enter their directory: never by root."""
        self.folder.chmod(0o755)
        program = self.folder / "bin"
        program.mkdir()
        built = pathlib.Path(NoRegularFiles.program())
        shutil.copy2(built, program)
        shutil.copytree(built.parent / "plugins", program / "plugins")
        as_nobody = {"user": 65534, "group": 65534, "extra_groups": []} if os.getuid() == 0 else {}
        if as_nobody:
            for path in [self.run_folder, *self.run_folder.rglob("*")]:
                os.chown(path, 65534, 65534)
        for closed, mode, words in (("trace.h5", 0, ["inspect", "run"]), ("trace.h5", 0, ["diff", "run", "run"]),
                                    ("summary.json", 0, ["inspect", "run"]), ("metrics.jsonl", 0, ["diff", "run", "run"]),
                                    ("metrics.jsonl", 0, ["run", "run.yaml", "--out", "run", *MORE]),
                                    (".", 0o111, ["run", "run.yaml", "--out", "run", *MORE])):
            with self.subTest(closed, words=words):
                path = self.run_folder / closed
                earlier = path.stat().st_mode
                path.chmod(mode)
                done = subprocess.run([program / built.name, *words], cwd=self.folder, capture_output=True, text=True,
                                      timeout=HANGS, **as_nobody)
                path.chmod(earlier)
                self.assertIn(done.returncode, (66, 74), done.stderr)
                self.assertIn("permission denied", done.stderr)
                self.assertIn("\n  hint: ", done.stderr)
        (self.run_folder / "checkpoints").chmod(0)
        before = self.files("run")
        done = subprocess.run([program / built.name, "run", "run.yaml", "--out", "run", *MORE], cwd=self.folder,
                              capture_output=True, text=True, timeout=HANGS, **as_nobody)
        (self.run_folder / "checkpoints").chmod(0o755)
        self.assertEqual(done.returncode, 74, done.stderr)
        self.assertIn("permission denied", done.stderr)
        self.assertEqual(self.files("run"), before)


class WhatCannotBeLookedAt(Doors):
    """inspect does not pass over in silence what stands where a run has its files."""

    def test_in_the_place_of_a_part_of_a_run(self):
        for name, noun in ("checkpoints", "a directory"), ("trace.h5", "a regular file"), \
                ("metrics.jsonl", "a regular file"), ("summary.json", "a regular file"):
            place, aside = self.run_folder / name, self.folder / "aside"
            shutil.move(place, aside)
            for kind, make, said in [
                    ("a dangling link", lambda: place.symlink_to("nowhere"), "there is no such file or directory"),
                    ("a loop", lambda: place.symlink_to(name), "links lead in a circle"),
                    ("a FIFO", lambda: os.mkfifo(place), f"is a FIFO, not {noun}"),
                    ("what is closed", lambda: place.symlink_to("/proc/self/mem/x"), "a part of the path is a file")]:
                with self.subTest(name, kind=kind):
                    make()
                    done = self.do(66, "inspect", "run", said=f"{name}: ")
                    self.assertIn(said, done.stderr)
                    self.assertEqual(done.stdout, "")
                    self.do(66, "diff", "run", "run", said=said)
                    place.unlink()
            shutil.move(aside, place)
        self.do(0, "inspect", "run")

    def test_a_file_in_the_place_of_checkpoints(self):
        shutil.move(self.run_folder / "checkpoints", self.folder / "aside")
        (self.run_folder / "checkpoints").write_text("")
        self.do(66, "inspect", "run", said="checkpoints: is a regular file, not a directory")

    def test_a_part_may_be_missing_or_a_link(self):
        shutil.move(self.run_folder / "checkpoints", self.folder / "aside")
        self.do(0, "inspect", "run")
        (self.run_folder / "checkpoints").symlink_to("../aside")
        self.do(0, "inspect", "run", said=STEP)

    def test_a_manifest_that_cannot_be_opened_is_not_its_copy(self):
        manifest = self.run_folder / "checkpoints/MANIFEST.json"
        manifest.unlink()
        self.do(0, "inspect", "run", said=STEP)  # one that is gone is
        manifest.mkdir()
        self.do(74, "inspect", "run", said="MANIFEST.json: is a directory")


class LargeManifests(Doors):
    """Six megabytes of entries that make no sense, or that name no file: refused in little memory."""
    KINDS = {"numbers": "0", "objects": "{}", "texts": '"aaaaaaaaaaaaaaaaaaaaaaaaaaaa"', "lists": "[[[0]]]",
             "files that are gone": '{"file":"step-%08d.h5","step":%d,"bytes":1,"sha256":"x"}'}

    def test_are_refused(self):
        for kind, entry in self.KINDS.items():
            entries = [entry % (i, i) if "%" in entry else entry for i in range(10, 6_000_000 // len(entry))]
            text = '{"checkpoints":[' + ",".join(entries) + "]}"
            for name in "MANIFEST.json", "MANIFEST.copy.json":
                (self.run_folder / "checkpoints" / name).write_text(text)
            with self.subTest(kind):
                most = 256 << 20  # of address space

                def bound():
                    if "SANITIZED" not in os.environ:
                        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
                done = self.resume(65, said="" if "%" in entry else "is damaged", preexec_fn=bound)
                self.assertLess(len(done.stderr), 20_000)


class Contents(Doors):
    def test_escapes_of_a_name_do_not_reach_the_terminal(self):
        name = "run" + ESCAPE.replace("/", "")
        self.run_folder.rename(self.folder / name)
        for words in ["inspect", name], ["inspect", name, "--json"], ["inspect", f"{name}/trace.h5"], ["diff", name, name], \
                ["inspect", f"{name}/checkpoints/{STEP}"], ["inspect", name, "--repair"]:
            self.do(0, *words)

    def test_escapes_of_a_manifest_do_not_reach_the_terminal(self):
        self.vouch(removing=[ESCAPE])
        self.resume(said="is no name of a checkpoint")

    def test_escapes_of_an_environment_do_not_reach_the_terminal(self):
        with h5py.File(self.checkpoint, "r+") as file:
            text = file["environment"][()]
            environment = json.loads(text)
            environment["program"] = environment["cpu"] = ESCAPE
            changed = json.dumps(environment, ensure_ascii=False).encode()
            attributes = dict(file["environment"].attrs)
            del file["environment"]
            file.create_dataset("environment", data=changed, dtype=f"S{len(changed) + 1}")
            file["environment"].attrs.update(attributes)
        import hashlib
        data = self.checkpoint.read_bytes()
        manifest = json.loads((self.run_folder / "checkpoints/MANIFEST.json").read_text())
        entry = {**manifest["checkpoints"][-1], "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        self.vouch(checkpoints=[entry])
        done = self.resume(said="program: the checkpoint was made with")
        self.assertIn("\\x1b", done.stderr)

    def test_deep_json_is_refused(self):
        deep = "[" * DEEP + "]" * DEEP
        objects = '{"a":' * DEEP + "1" + "}" * DEEP
        for text in deep, objects, f'{{"checkpoints": {deep}}}', f'{{"checkpoints": [], "x": {objects}, "sha256": ""}}':
            for name in "MANIFEST.json", "MANIFEST.copy.json":
                (self.run_folder / "checkpoints" / name).write_text(text)
            self.resume(65, said="MANIFEST.json: is damaged")
            self.do(65, "inspect", "run", said="is damaged")

    def test_deep_json_in_summary_and_metrics(self):
        deep = f'{{"status": {"[" * DEEP}{"]" * DEEP}, "step": 1}}\n'
        (self.run_folder / "summary.json").write_text(deep)
        (self.run_folder / "metrics.jsonl").write_text(deep)
        self.do(65, "inspect", "run", said="is no JSON object")
        shutil.copytree(self.run_folder, self.folder / "other")
        self.do(65, "diff", "run", "other", said="this is no JSON object")
        self.resume()

    def test_a_safetensors_header_is_not_deep(self):
        header = ('{"a":' + "[" * DEEP + "]" * DEEP + "}").encode()
        (self.folder / "deep.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
        self.do(65, "run", "run.yaml", "--out", "new", "--weights", "deep.safetensors", said="nested deeper")


class NoRegularFiles(Doors):
    def each_kind(self):
        os.mkfifo(self.folder / "fifo")
        yield "fifo", "is a FIFO, not a regular file"
        yield "/dev/zero", "is a device, not a regular file"
        yield ".", "is a directory, not a regular file"

    def test_are_not_waited_for(self):
        for name, said in self.each_kind():
            for suffix in "", ".safetensors", ".npz", ".h5":
                weights = name
                if suffix and name != ".":
                    weights = f"link{suffix}"
                    (self.folder / weights).symlink_to(name)
                with self.subTest(weights, kind=name):
                    self.do(66, "run", "run.yaml", "--out", "new", "--weights", weights, said=said)
                if weights != name:
                    (self.folder / weights).unlink()
            with self.subTest("experiment", kind=name):
                self.do(66, "run", name, said=said)
                self.do(66, "replay", name, said=said)
                self.do(66, "export", name, "--to", "npz", said=said)
        for words in (["inspect", "fifo"], ["diff", "fifo", self.checkpoint], ["plugin", "inspect", "./fifo"]):
            with self.subTest(words):
                self.do(66, *words)

    def test_what_the_kernel_makes_up_is_not_waited_for(self):
        for words in (["inspect", "/proc/kmsg"], ["export", "/proc/kmsg", "--to", "npz"], ["replay", "/proc/kmsg"],
                      ["run", "/proc/self/mounts"], ["run", "run.yaml", "--weights", "/proc/kmsg"]):
            with self.subTest(words):
                self.do(66, *words, timeout=30)
        for data in "csv: {train: /proc/kmsg, labels: y}", "text: {files: [/proc/kmsg], window: 4}":
            self.do(66, "run", "run.yaml", "--set", f"data={{{data}}}", "--set", "record.samples=1", timeout=30)
        self.do(66, "inspect", "/proc/self/mounts", said="is made up by the kernel")

    def test_as_data_are_not_waited_for(self):
        os.mkfifo(self.folder / "fifo")
        network = "network: {layers: [{dense: {units: 2}}], loss: softmax_cross_entropy}\n"
        train = "train: {steps: 1, batch_size: 1, optimizer: sgd}\n"
        for data in ("csv: {train: fifo, labels: y}", "hdf5: {train: fifo, inputs: x, labels: y}",
                     "text: {files: [fifo], window: 4}"):
            with self.subTest(data):
                self.write(f"name: small\ndata: {{{data}}}\n{network}{train}", "data.yaml")
                self.do(66, "run", "data.yaml", "--out", "new")

    def test_an_experiment_may_come_through_a_pipe_that_is_named(self):
        for name in "/dev/stdin", "/dev/fd/0":
            done = subprocess.run([self.program(), "run", name, "--dry-run"], input=EXPERIMENT, text=True,
                                  capture_output=True, cwd=self.folder, timeout=HANGS)
            self.assertEqual(done.returncode, 0, done.stderr)

    @staticmethod
    def program():
        import whole_program
        return whole_program.OPTIONS.program


class Outputs(Doors):
    def export(self, out, *more, code=0, **how):
        return self.do(code, "export", self.checkpoint, "--to", "npz", "--out", out, *more, **how)

    def null(self):
        """A device like /dev/null that is no loss; skips where none can be made or opened."""
        null = self.folder / "null"
        try:
            os.mknod(null, stat.S_IFCHR | 0o666, os.makedev(1, 3))
            null.write_bytes(b"")
        except OSError as error:
            self.skipTest(f"no device can be made: {error}")
        return null

    def test_a_device_stays_one(self):
        null = self.null()
        link = self.folder / "link"
        link.symlink_to("null")
        for out in null, link:
            self.export(out)
            self.assertTrue(stat.S_ISCHR(null.stat().st_mode))
        self.assertTrue(link.is_symlink())

    def test_a_fifo_is_written_into(self):
        fifo, got = self.folder / "fifo", []
        os.mkfifo(fifo)
        reader = threading.Thread(target=lambda: got.append(fifo.read_bytes()), daemon=True)
        reader.start()
        self.export("fifo")
        reader.join(HANGS)
        self.export("file")
        self.assertTrue(got, "nothing came through")
        self.assertEqual(got[0], (self.folder / "file").read_bytes())
        self.assertTrue(stat.S_ISFIFO(fifo.stat().st_mode))

    def test_a_fifo_without_a_reader_is_not_waited_for(self):
        os.mkfifo(self.folder / "fifo")
        self.export("fifo", code=74, said="a FIFO that nothing reads from")

    def test_what_stands_beside_a_run_and_cannot_be_written_does_not_end_it(self):
        self.do(74, "run", "run.yaml", "--out", "other", "--trace-threads", "/dev/full", said="training goes on without it")
        summary = json.loads((self.folder / "other/summary.json").read_text())
        self.assertEqual((summary["status"], summary["steps"]), ("finished", 4))

    def test_standard_output_is_written_into(self):
        self.export("file")
        done = subprocess.run([NoRegularFiles.program(), "export", self.checkpoint, "--to", "npz", "--out", "/dev/stdout"],
                              capture_output=True, cwd=self.folder, timeout=HANGS)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(done.stdout.startswith((self.folder / "file").read_bytes()))

    def test_a_link_is_written_through(self):
        link = self.folder / "link"
        for target in "there", "not-yet":
            (self.folder / "there").write_text("old")
            link.symlink_to(target)
            self.export(link, "--force")
            self.assertEqual(os.readlink(link), target)
            self.assertTrue((self.folder / target).read_bytes().startswith(b"PK"))
            link.unlink()

    def test_an_export_is_replaced_only_where_that_is_asked_for_and_keeps_its_mode(self):
        (self.folder / "file").write_text("an earlier export")
        self.export("file", code=74, said="there is such a file already")
        self.assertEqual((self.folder / "file").read_text(), "an earlier export")
        for mode in 0o600, 0o664:
            (self.folder / "file").chmod(mode)
            self.export("file", "--force")
            self.assertEqual(stat.S_IMODE((self.folder / "file").stat().st_mode), mode)
        self.assertEqual([path.name for path in self.folder.glob("*.tmp-*")], [])

    def test_an_output_destroys_no_input_and_no_other_output(self):
        bench = ["bench", "run.yaml", "--threads", "1", "--repetitions", "1"]
        (self.folder / "link").symlink_to("run.yaml")
        os.link(self.folder / "run.yaml", self.folder / "hard.yaml")
        self.export("weights.npz")
        (self.folder / "data.csv").write_text("a,y\n" + "0.5,0\n0.25,1\n" * 4)
        csv = ["--set", "data={csv: {train: data.csv, labels: y}}", "--set", "record.samples=1"]
        begin = ["run", "run.yaml", "--out", "new"]
        before = {path: path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}
        for words in ([*bench, "--json", "s", "--plot", "s"], [*bench, "--json", "s", "--plot", "./s"],
                      [*bench, "--json", "new", "--trace-threads", "run/../new"],
                      *([*bench, "--json", name] for name in ("run.yaml", "link", "hard.yaml", self.folder / "run.yaml")),
                      *([*begin, "--trace-threads", name] for name in ("run.yaml", "link", "new", "new/x", "run/../new/x")),
                      [*begin, "--weights", "weights.npz", "--trace-threads", "weights.npz"],
                      [*begin, *csv, "--trace-threads", "data.csv"], [*bench, *csv, "--plot", "data.csv"],
                      ["run", "run.yaml", "--out", "run", "--trace-threads", "run/metrics.jsonl"],
                      *([*bench, "--json", f"run/{name}"] for name in ("metrics.jsonl", "run.lock", "checkpoints/MANIFEST.json")),
                      *(["export", self.checkpoint, "--to", "npz", "--out", name, "--force"] for name in
                        (self.checkpoint, "run/trace.h5", "run/checkpoints/step-00000002.h5"))):
            with self.subTest(words):
                self.do(64, *words, said="hint: name a")
                self.assertEqual({path: path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}, before)

    def test_every_option_that_names_an_output_leaves_devices_alone(self):
        null = self.null()
        for words in (["run", "run.yaml", "--out", "new", "--trace-threads", null],
                      ["bench", "run.yaml", "--threads", "1", "--repetitions", "1", "--json", null, "--plot", null]):
            with self.subTest(words):
                self.do(0, *words)
                self.assertTrue(stat.S_ISCHR(null.stat().st_mode))
        self.do(74, "run", "run.yaml", "--out", null, said="is a device")


if __name__ == "__main__":
    read_command_line(__doc__)
    unittest.main()
