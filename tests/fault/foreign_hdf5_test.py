#!/usr/bin/env python3
"""Data files as h5py, PyTables, netCDF4, MATLAB and libraries of every age write them, given to `data: hdf5`.

    python3 foreign_hdf5_test.py --program PROGRAM

Each is read as the plain file of the same numbers is (the run's SHA-256 of its training data says so), or refused with
the message that stands here.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import h5py
import numpy as np

from whole_program import backplane, read_command_line

EXPERIMENT = """\
name: foreign
data: {hdf5: {train: 'FILE', inputs: /x, labels: /y, scale: none}}
network: {layers: [dense: {units: 2}], loss: softmax_cross_entropy}
train: {steps: 1, batch_size: 40, optimizer: {sgd: {lr: 0.1}}}
"""
N = 40
X = (np.arange(N * 6).reshape(N, 6) % 7) - 3.0
Y = np.arange(N) % 2
FEW = np.zeros(N, "i8")  # labels of which few are not 0
FEW[[3, 17]] = 1


class Files:
    folder = None


def run(path, **environment):
    """What the run says on stderr, and the digest of its training data (None where it was refused)."""
    experiment = Files.folder / "experiment.yaml"
    experiment.write_text(EXPERIMENT.replace("FILE", str(path)))
    out = Files.folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    done = backplane("run", experiment, "--out", out, env={**os.environ, **environment})
    said = done.stderr.replace(str(Files.folder) + "/", "")
    if done.returncode != 0:
        return done.returncode, said, None
    with h5py.File(out / "checkpoints/step-00000000.h5") as checkpoint:
        return 0, said, json.loads(checkpoint["environment"][()])["data_sha256"]["train"]


def plain(x=X.astype("f4"), y=Y):
    """The digest of a contiguous data set of these native types in a file of the oldest format."""
    path = Files.folder / "plain.h5"
    with h5py.File(path, "w", libver="earliest") as file:
        file["x"], file["y"] = x, y.astype("<i8")
    code, said, digest = run(path)
    assert code == 0, said
    return digest


def low_level(file, name, data, change=lambda creation: None, kind=None):
    """A data set made by HDF5's own calls."""
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    change(creation)
    kind = kind or h5py.h5t.py_create(data.dtype, logical=True)
    made = h5py.h5d.create(file.id, name.encode(), kind, h5py.h5s.create_simple(data.shape), creation)
    made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ascontiguousarray(data))


def xy(x=X.astype("f4"), y=Y, **how):
    def make(file):
        file.create_dataset("x", data=x, **how)
        file.create_dataset("y", data=y, **how)
    return make


def with_attributes(name="x", **attributes):
    def make(file):
        xy()(file)
        for attribute, value in attributes.items():
            file[name].attrs[attribute] = value
    return make


def few_labels(**how):
    """Labels that are created and then assigned here and there."""
    def make(file):
        file["x"] = X.astype("f4")
        y = file.create_dataset("y", shape=(N,), dtype="u1", **how)
        y[3], y[17] = 1, 1
    return make


def never_written(**how):
    def make(file):
        file["x"] = X.astype("f4")
        file.create_dataset("y", shape=(N,), dtype="i4", **how)
    return make


def huge_and_sparse(file):
    """100,000 bytes of which 40 take room: more than gzip could ever shrink."""
    file["x"] = np.zeros((100_000, 1), "f4")
    file.create_dataset("y", shape=(100_000,), dtype="u1", chunks=(40,), compression="gzip")[:2] = [0, 1]


def compact(file):
    xy()(file)
    del file["x"]
    low_level(file, "x", X.astype("f4"), lambda creation: creation.set_layout(h5py.h5d.COMPACT))


def two_unlimited_axes(file):
    file.create_dataset("x", data=X.astype("f4"), chunks=(7, 3), maxshape=(None, None))
    file["y"] = Y


def grown(file):
    x = file.create_dataset("x", shape=(0, 6), dtype="f4", chunks=(8, 6), maxshape=(None, 6))
    for row in X:
        x.resize(len(x) + 1, 0)
        x[-1] = row
    file["y"] = Y


def bfloat16(file):
    """16 bits of a float32: no type of NumPy's, but one that HDF5 can describe."""
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_fields(15, 7, 8, 0, 7)
    kind.set_size(2)
    kind.set_ebias(127)
    file["y"] = Y
    low_level(file, "x", X.astype("f4"), kind=kind)


def committed_type(file):
    file["kind"] = np.dtype(">f4")
    file.create_dataset("x", data=X.astype("f4"), dtype=file["kind"])
    file["y"] = Y


def enumeration(file):
    file["x"] = X.astype("f4")
    file.create_dataset("y", data=Y.astype("i2"), dtype=h5py.enum_dtype({"CAT": 0, "DOG": 1}, "i2"))


def netcdf4(file):
    """As netCDF4-python lays variables out: dimension scales, creation order, an unlimited axis, attributes."""
    file.attrs["_NCProperties"] = np.bytes_(b"version=2,netcdf=4.9.0,hdf5=1.10.8")
    for name, size in (("sample", N), ("feature", 6)):
        file.create_dataset(name, data=np.zeros(size, ">f4")).make_scale(f"This is a netCDF dimension: {size:10}")
    x = file.create_dataset("x", data=X.astype("f4"), chunks=(1, 6), maxshape=(None, 6), fillvalue=9.96921e36)
    y = file.create_dataset("y", data=Y.astype("i4"), chunks=(16,), maxshape=(None,), fillvalue=-2147483647)
    for data in (x, y):
        data.attrs["_Netcdf4Dimid"] = np.int32(0)
        data.dims[0].attach_scale(file["sample"])
    x.dims[1].attach_scale(file["feature"])


def netcdf_fill(kind, fill, attribute="_NCProperties", written=N, **attributes):
    """A variable of a netCDF file whose last samples were never written."""
    def make(file):
        if attribute == "_NCProperties":
            file.attrs[attribute] = np.bytes_(b"version=2,netcdf=4.9.0,hdf5=1.10.8")
        x = file.create_dataset("x", shape=(N, 6), dtype=kind, chunks=(1, 6), fillvalue=fill)
        x[:written] = X[:written].astype(kind)
        x.attrs.update(attributes)
        file["y"] = Y
        if attribute == "DIMENSION_LIST":
            file["feature"] = np.zeros(6, "f4")
            file["feature"].make_scale("feature")
            x.dims[1].attach_scale(file["feature"])
    return make


def filled(kind, fill, written):
    x = X.astype(kind)
    x[written:] = fill
    return x


def matlab(x=X, y=Y.astype("f8").reshape(N, 1), x_class=b"double", y_class=b"double"):
    """MATLAB's axes are the other way round, and it has no arrays of less than two."""
    def make(file):
        for name, values, of in (("x", x, x_class), ("y", y, y_class)):
            file.create_dataset(name, data=values.T).attrs["MATLAB_class"] = np.bytes_(of)
            if of == b"logical":
                file[name].attrs["MATLAB_int_decode"] = np.int32(1)
    return make


def images_of_matlab(file):
    images = np.arange(N * 12, dtype="f4").reshape(N, 4, 3)
    matlab(images, x_class=b"single")(file)


def links(file):
    file["data/x"] = X.astype("f4")
    file["data/other"] = Y
    file["data/y"] = h5py.SoftLink("other")
    file["x"] = h5py.SoftLink("/data/./x")
    file["z"] = h5py.SoftLink("data")
    file["y"] = h5py.SoftLink("z/y")


def many_links_and_attributes(file):
    file.attrs.update({f"a{i}": np.arange(50) for i in range(30)})
    for i in range(200):
        file.create_group(f"g{i}")
    xy()(file)
    file["x"].attrs.update({f"a{i}": "text" for i in range(30)})


def of(data, name="x", **how):
    """A good file in which one data set is another."""
    def make(file):
        xy()(file)
        del file[name]
        file.create_dataset(name, data=data, **how)
    return make


def with_attributes_of(data, **attributes):
    def make(file):
        of(data)(file)
        file["x"].attrs.update(attributes)
    return make


def with_one(x, value):
    x[0, 2] = value
    return x


BESIDE_MARK = with_one(X.astype("i8"), 2**60 + 1)  # as a double it is 2**60
EARLIEST, LATEST = {"libver": "earliest"}, {"libver": "latest"}
# Each is read as the plain file of the numbers given last.
READ = {
    "oldest format": (xy(), EARLIEST, {}),
    "format of 1.8": (xy(), {"libver": ("v108", "v108")}, {}),
    "newest format": (xy(), LATEST, {}),
    "newest format, one chunk": (xy(chunks=True), LATEST, {}),
    "newest format, gzip": (xy(compression="gzip"), LATEST, {}),
    "newest format, may grow": (grown, LATEST, {}),
    "newest format, may grow twice": (two_unlimited_axes, LATEST, {}),
    "oldest format, may grow": (grown, EARLIEST, {}),
    "all filters": (xy(compression="gzip", shuffle=True, fletcher32=True), {}, {}),
    "whole numbers with fewer bits": (xy(x=X.astype("i4"), scaleoffset=0), {}, {"x": X}),
    "constant numbers with no bits": (xy(x=np.full((N, 600), 5, "i4"), scaleoffset=0, compression="gzip"), {},
                                      {"x": np.full((N, 600), 5.0)}),
    "compact": (compact, {}, {}),
    "few labels written": (few_labels(chunks=(10,)), {}, {"y": FEW}),
    "few labels written, gzip": (few_labels(chunks=(1,), compression="gzip"), {}, {"y": FEW}),
    "few labels written, newest": (few_labels(chunks=(1,)), LATEST, {"y": FEW}),
    "few bytes of many": (huge_and_sparse, {}, {"x": np.zeros((100_000, 1), "f4"), "y": np.arange(100_000) == 1}),
    "no label written": (never_written(), {}, {"y": 0 * Y}),
    "no label written, filled": (never_written(fillvalue=1), {}, {"y": 0 * Y + 1}),
    "no label written, chunks filled": (never_written(fillvalue=1, chunks=(3,)), LATEST, {"y": 0 * Y + 1}),
    "big-endian": (xy(x=X.astype(">f8"), y=Y.astype(">u2")), {}, {"x": X}),
    "float16": (xy(x=X.astype("f2")), {}, {}),
    "bfloat16": (bfloat16, {}, {}),
    "long double": (xy(x=X.astype(np.longdouble)), {}, {"x": X}),
    "bytes": (xy(x=(X + 3).astype("u1"), y=Y.astype("u8")), {}, {"x": (X + 3).astype("u1")}),
    "bool": (xy(x=X > 0, y=Y > 0), {}, {"x": (X > 0).astype("f4")}),
    "enumeration": (enumeration, {}, {}),
    "labels as fractions": (xy(y=Y.astype("f4")), {}, {}),
    "labels as a column": (xy(y=Y.reshape(N, 1)), {}, {}),
    "labels as a row": (xy(y=Y.reshape(1, N)), {}, {}),
    "netCDF4": (netcdf4, {"libver": ("v108", "v108"), "track_order": True}, {}),
    "netCDF, unsigned only in name": (with_attributes("y", _Unsigned="false"), {}, {}),
    "netCDF, all written": (netcdf_fill("f4", 9.9692099683868690e+36), {}, {}),
    "netCDF, bytes have no fill value": (netcdf_fill("u1", 255, written=39), {}, {"x": filled("u1", 255, 39)}),
    "netCDF, a fill value that is meant": (netcdf_fill("f4", 5, written=39), {}, {"x": filled("f4", 5, 39)}),
    "fill value of netCDF elsewhere": (netcdf_fill("i2", -32767, attribute=None, written=39), {},
                                      {"x": filled("f8", -32767, 39)}),
    "netCDF, in its range": (with_attributes(valid_range=np.float32([-3, 3]), valid_min=-3, valid_max=3.0), {}, {}),
    "netCDF, a whole number of 64 bits beside its mark": (
        with_attributes_of(BESIDE_MARK, _FillValue=np.int64(2**60)), {}, {"x": BESIDE_MARK.astype("f8")}),
    "MATLAB": (matlab(), {"userblock_size": 512}, {"x": X}),
    "MATLAB, labels as a row": (matlab(y=Y.astype("f8").reshape(1, N)), {"userblock_size": 512}, {"x": X}),
    "MATLAB, logical": (matlab((X > 0).astype("u1"), Y.astype("u1").reshape(N, 1), b"logical", b"logical"),
                        {"userblock_size": 512}, {"x": (X > 0).astype("f4")}),
    "MATLAB, images": (images_of_matlab, {"userblock_size": 512},
                       {"x": np.arange(N * 12, dtype="f4").reshape(N, 4, 3)}),
    "user block": (xy(), {"userblock_size": 4096, "libver": "latest"}, {}),
    "committed type": (committed_type, {}, {}),
    "links within the file": (links, {}, {}),
    "many links and attributes": (many_links_and_attributes, LATEST, {}),
}


def of_type(kind, name="x", shape=(N, 6)):
    def make(file):
        xy()(file)
        del file[name]
        h5py.h5d.create(file.id, name.encode(), kind, h5py.h5s.create_simple(shape))
    return make


def with_link(target):
    def make(file):
        xy()(file)
        del file["x"]
        file["x"] = target
    return make


def external(file):
    xy()(file)
    del file["x"]
    file.create_dataset("x", shape=(N, 6), dtype="u1", external=[("plain.h5", 0, h5py.h5f.UNLIMITED)])


def virtual(file):
    xy()(file)
    del file["x"]
    layout = h5py.VirtualLayout((N, 6), "f4")
    layout[:] = h5py.VirtualSource("plain.h5", "x", (N, 6))
    file.create_virtual_dataset("x", layout)


def foreign_filter(file):
    xy()(file)
    del file["x"]

    def change(creation):
        creation.set_chunk((N, 6))
        creation.set_filter(32001, h5py.h5z.FLAG_OPTIONAL)

    low_level(file, "x", X.astype("f4"), change)


def empty_of_matlab(file):
    """Of an empty array MATLAB stores the extents."""
    matlab(np.zeros((N, 2)))(file)
    file["x"].attrs["MATLAB_empty"] = np.uint8(1)


def object_of_matlab(file):
    matlab(X.astype("u4"), x_class=b"table")(file)
    file["x"].attrs["MATLAB_object_decode"] = np.int32(3)


def sparse_of_matlab(file):
    xy()(file)
    del file["x"]
    file.create_group("x").attrs["MATLAB_sparse"] = np.uint64(6)


def giant(file):
    xy()(file)
    del file["x"]
    file.create_dataset("x", shape=(1 << 40, 6), dtype="u1", chunks=(1 << 10, 6))


GZIP = "\n  hint: write it again with gzip; in h5py: create_dataset(name, data=old[name][:], compression='gzip')"
COPY = "\n  hint: copy its values into a data set of this file"
CLASSES = "\n  hint: store classes as whole numbers: numpy.unique(names, return_inverse=True)[1]"
NEVER_WRITTEN = ("'/x': sample 39, element 0 is a missing value (netCDF's fill value, of what was never written; both "
                 "counted from 0)\n  hint: fill the gap, or leave out the sample")


def excluded(attribute, sample, element, name="/x"):
    return (f"'{name}': sample {sample}, element {element} is a missing value (its attribute {attribute} excludes it; "
            "both counted from 0)\n  hint: fill the gap, leave out the sample, or remove the attribute if this value is "
            "meant")


# What is said behind "65 FILE: error: ".
REFUSED = {
    "lzf": (of(X, compression="lzf"), "'/x' is compressed with LZF, which is none of HDF5's own filters" + GZIP),
    "Blosc": (foreign_filter, "'/x' is compressed with Blosc, which is none of HDF5's own filters" + GZIP),
    "virtual": (virtual, "'/x' is a virtual data set: a view of others" + COPY),
    "external": (external, "'/x' is stored in other files" + COPY),
    "records": (of(np.zeros(N, [("a", "f4"), ("b", "i2")])),
                "'/x' holds records of the fields a, b\n"
                "  hint: store each field, or all of them along one more axis, as a data set of numbers"),
    "records of many fields": (
        of(np.zeros(N, [(f"f{i}", "u1") for i in range(300)])),
        f"'/x' holds records of the fields {', '.join(f'f{i}' for i in range(20))}, … and 280 more\n"
        "  hint: store each field, or all of them along one more axis, as a data set of numbers"),
    "complex": (of(X + 1j), "'/x' holds complex numbers\n"
                            "  hint: store real and imaginary part along one more axis"),
    "text": (of(np.full(N, b"cat"), "y"), "'/y' holds text, expected numbers" + CLASSES),
    "text of any length": (of(["cat"] * N, "y"), "'/y' holds text, expected numbers" + CLASSES),
    "references": (of_type(h5py.h5t.STD_REF_OBJ),
                   "'/x' holds references to other objects (MATLAB's cell arrays do)\n"
                   "  hint: store the numbers themselves as one array"),
    "lists": (of_type(h5py.h5t.vlen_create(h5py.h5t.IEEE_F32LE)),
              "'/x' holds lists of different lengths\n  hint: store them padded to one length, and their lengths as a "
              "data set of its own: lengths: NAME"),
    "arrays": (of_type(h5py.h5t.array_create(h5py.h5t.IEEE_F32LE, (3,))),
               "'/x' holds an array in each element\n  hint: store them along one more axis"),
    "raw bytes": (of(np.zeros(N, "V4")), "'/x' holds raw bytes without a type (NumPy's datetime64 and void do)\n"
                                         "  hint: store them as numbers"),
    "bit fields": (of_type(h5py.h5t.STD_B8LE), "'/x' holds bit fields (PyTables' bool is one)\n"
                                               "  hint: store them as uint8"),
    "single value": (of(5.0), "'/x' is a single value without an axis, expected an axis of samples"),
    "null": (of(h5py.Empty("f4")), "'/x' is empty: it has a type, but no values"),
    "no samples": (of(np.zeros((0, 6), "f4")), "a table of shape [0, 6] holds no samples"),
    "group": (lambda file: (xy()(file), file.move("x", "g/x"), file.move("g", "x")),
              "'/x' is a group, not a data set\n  hint: it holds: x"),
    "committed type": (lambda file: (xy()(file), file.pop("x"), file.update({"x": np.dtype("f4")})),
                       "'/x' is not a data set"),
    "missing": (lambda file: (xy()(file), file.move("x", "X")),
                "'/' has no 'x'\n  did you mean 'X'?\n  hint: it holds: X, y"),
    "link into another file": (with_link(h5py.ExternalLink("plain.h5", "/x")),
                               "'/x' is a link into another file\n  hint: copy what it leads to into this one"),
    "link that leads nowhere": (with_link(h5py.SoftLink("/nowhere")), "'/' has no 'nowhere'\n  hint: it holds: x, y"),
    "link beyond a data set": (with_link(h5py.SoftLink("/y/z")), "'/y' has no 'z': it is no group"),
    "link to itself": (with_link(h5py.SoftLink("/x")), "'/x' is a link to itself, or through too many others"),
    "text of MATLAB": (matlab(X.astype("u2"), x_class=b"char"), "'/x' holds text (MATLAB's char), expected numbers"),
    "empty array of MATLAB": (empty_of_matlab, "'/x' is an empty array of MATLAB's"),
    "object of MATLAB": (object_of_matlab, "'/x' holds an object of MATLAB's (table), which only MATLAB can decode\n"
                                           "  hint: save its numbers: double(x), or table2array(x)"),
    "netCDF, two factors": (with_attributes(scale_factor=[0.5, 0.25]),
                            "'/x': its attribute scale_factor is not a single number\n"
                            "  hint: store the values as they are meant, without this attribute"),
    "netCDF, a factor as text": (with_attributes(scale_factor="0.5"),
                                 "'/x': its attribute scale_factor is not a single number\n"
                                 "  hint: store the values as they are meant, without this attribute"),
    "netCDF, nothing left": (with_attributes(scale_factor=0.0),
                             "'/x': its attributes scale_factor 0 and add_offset 0 leave nothing of its values\n"
                             "  hint: store the values as they are meant, without these attributes"),
    "netCDF, a mark with more digits than the values": (
        with_attributes(missing_value=np.float64(3.0 + 1e-9)),
        "'/x': sample 1, element 0 is a missing value (its attribute missing_value; both counted from 0)\n"
        "  hint: fill the gap, leave out the sample, or remove the attribute if this value is meant"),
    "netCDF, never written": (netcdf_fill("f4", 9.9692099683868690e+36, written=39), NEVER_WRITTEN),
    "netCDF, never written, an axis": (netcdf_fill("i2", -32767, attribute="DIMENSION_LIST", written=39), NEVER_WRITTEN),
    "netCDF, never written, 64 bits": (netcdf_fill("i8", -9223372036854775806, written=39), NEVER_WRITTEN),
    "netCDF, another mark, never written": (netcdf_fill("f8", 9.9692099683868690e+36, written=39, missing_value=-9.0),
                                            NEVER_WRITTEN),
    "netCDF, outside its range": (with_attributes(valid_range=[-2.0, 3.0]), excluded("valid_range", 0, 0)),
    "netCDF, below its least": (with_attributes(valid_min=np.int16(-2)), excluded("valid_min", 0, 0)),
    "netCDF, above its most": (with_attributes(valid_max=np.float64(3 - 1e-6)), excluded("valid_max", 1, 0)),
    "netCDF, labels outside their range": (with_attributes("y", valid_max=0), excluded("valid_max", 1, 0, "/y")),
    "netCDF, packed, outside its range": (
        lambda file: (of(X.astype("i2"))(file), file["x"].attrs.update(
            {"scale_factor": 0.5, "valid_range": np.int16([-3, 2])})), excluded("valid_range", 1, 0)),
    "netCDF, packed, outside the range of what is packed": (
        lambda file: (of(X.astype("i2"))(file), file["x"].attrs.update({"scale_factor": 0.5, "valid_max": 1.0})),
        excluded("valid_max", 1, 0)),
    "netCDF, half a range": (with_attributes(valid_range=1.0),
                             "'/x': its attribute valid_range is a single number, expected the least and the most\n"
                             "  hint: store the values as they are meant, without this attribute"),
    "sparse matrix of MATLAB": (sparse_of_matlab, "'/x' is a sparse matrix of MATLAB\n  hint: save full(…) of it"),
    "labels that are no classes": (of(Y + 0.5, "y"),
                                   "'/y' holds 0.5 as element 0 (counted from 0), expected labels: whole numbers\n"
                                   "  hint: to train on numbers, write 'targets: /y'"),
    "labels that are not numbers": (of(np.full(N, np.nan), "y"),
                                    "'/y' holds nan as element 0 (counted from 0), expected labels: whole numbers\n"
                                    "  hint: to train on numbers, write 'targets: /y'"),
    "labels beyond 63 bits": (of(Y.astype("u8") * np.uint64(2**64 - 1), "y"),
                              "'/y' holds 18446744073709551615 as element 1 (counted from 0), expected labels: whole "
                              "numbers below 2^63\n  hint: a negative class in an unsigned type becomes such a number; "
                              "to train on numbers, write 'targets: /y'"),
    "not finite": (of(with_one(X.copy(), np.inf)),
                   "sample 0, element 2 is inf, expected a finite number (both counted from 0)\n  /x\n"
                   "  hint: put a finite number there, or leave out the sample"),
    "long double beyond float64": (of(with_one(X.astype(np.longdouble), np.longdouble("1e4000"))),
                                   "'/x': sample 0, element 2 is 1e+4000, which float64 cannot hold (both counted from "
                                   "0)\n  hint: store the numbers in another unit"),
    "netCDF, a factor that leaves float64": (
        with_attributes_of(X.astype("i2"), scale_factor=1e308),
        "'/x': sample 0, element 0 is -3, which its attributes scale_factor 1e+308 and add_offset 0 make -inf (both "
        "counted from 0)\n  hint: store the values as they are meant, without these attributes"),
    "netCDF, a mark of 64 bits": (
        with_attributes_of(BESIDE_MARK, missing_value=np.int64(2**60 + 1)),
        "'/x': sample 0, element 2 is a missing value (its attribute missing_value; both counted from 0)\n"
        "  hint: fill the gap, leave out the sample, or remove the attribute if this value is meant"),
    "netCDF, a whole number of 64 bits beyond its range": (
        with_attributes_of(BESIDE_MARK, valid_max=np.int64(2**60)), excluded("valid_max", 0, 2)),
    "giant, never written": (giant, "a table of shape [1099511627776, 6] with 1 bytes an element exceeds the limit of "
                                    "4 GiB"),
}


class Foreign(unittest.TestCase):
    def make(self, name, change, how):
        path = Files.folder / (name.replace(" ", "_") + ".h5")
        with h5py.File(path, "w", **how) as file:
            change(file)
        return path

    def test_read(self):
        for name, (change, how, numbers) in READ.items():
            with self.subTest(name):
                code, said, digest = run(self.make(name, change, how))
                self.assertEqual(code, 0, said)
                self.assertEqual(digest, plain(**numbers))

    def test_refused(self):
        for name, (change, message) in REFUSED.items():
            with self.subTest(name):
                path = self.make(name, change, {})
                code, said, _ = run(path)
                self.assertEqual((code, said.strip()), (65, f"{path.name}: error: {message}"))

    def test_open_elsewhere(self):
        path = self.make("open", xy(), {})
        for how in ({}, LATEST):
            with h5py.File(path, "a", **how) as file:
                code, said, _ = run(path)
                self.assertEqual((code, said.strip()),
                                 (74, "open.h5: error: another program has this file open for writing\n"
                                      "  hint: close it there (in h5py: file.close()), or wait until it has ended"))
                # Without locks: what was flushed is a whole file.
                file.flush()
                if not how:
                    self.assertEqual(run(path, HDF5_USE_FILE_LOCKING="FALSE")[2], plain())
        with h5py.File(path, "r"):  # a reader beside disturbs nobody
            self.assertEqual(run(path)[2], plain())

    def test_never_closed(self):
        path = Files.folder / "died.h5"
        copy = Files.folder / "copy.h5"
        with h5py.File(path, "w", libver="latest") as file:
            xy()(file)
            file.flush()
            shutil.copy(path, copy)
        code, said, _ = run(copy)
        self.assertEqual((code, said.strip().replace(str(Files.folder) + "/", "")),
                         (65, "copy.h5: error: the program that wrote this file has not closed it\n"
                              "  hint: close it there; if that program died, `h5clear -s copy.h5` takes its mark away"))
        subprocess.run(["h5clear", "-s", copy], check=True)
        self.assertEqual(run(copy)[2], plain())

    def test_cut_off(self):
        for how in (EARLIEST, LATEST, {"userblock_size": 512}):
            path = self.make("cut", xy(), how)
            whole = path.stat().st_size
            os.truncate(path, whole - 1)
            code, said, _ = run(path)
            self.assertEqual((code, said.strip()),
                             (65, f"cut.h5: error: the file has {whole - 1} of its {whole} bytes\n  hint: it was cut "
                                  "off on the way, or the program that wrote it ended before it closed it"))

    def test_longer_than_it_says(self):
        """As after a copy in whole blocks."""
        path = self.make("long", xy(), {})
        os.truncate(path, path.stat().st_size + 4096)
        self.assertEqual(run(path)[2], plain())

    def test_damaged(self):
        path = self.make("damaged", xy(fletcher32=True), {})
        data = bytearray(path.read_bytes())
        at = data.index(X[1:3].astype("f4").tobytes())
        data[at] ^= 1
        path.write_bytes(data)
        code, said, _ = run(path)
        self.assertEqual(code, 65)
        self.assertIn("damaged.h5: error: '/x' is damaged: its chunk at [0, 0] differs from its checksum\n  hint: ", said)

    def test_no_file(self):
        for path, code, why in ((Files.folder / "none.h5", 66, "there is no such file"),
                                (Files.folder, 66, "is a directory, not a regular file")):
            ended, said, _ = run(path)
            self.assertEqual(ended, code)
            self.assertIn(why, said)


def main():
    read_command_line(__doc__)
    Files.folder = pathlib.Path(tempfile.mkdtemp(prefix="bp-foreign-"))
    try:
        return not unittest.main(exit=False).result.wasSuccessful()
    finally:
        shutil.rmtree(Files.folder)


if __name__ == "__main__":
    sys.exit(main())
