#include "data/hdf5_tables.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <limits>
#include <map>
#include <thread>

#include "data/read_in_child.h"
#include "data_test_files.h"
#include "hdf5/handle.h"
#include "unit/child_jobs.h"

namespace backplane {
namespace {

using h5::Handle;

Handle create_file(const std::string& path) {
  return {H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose, "create"};
}

Handle make_dataset(const Handle& file, const std::string& name, hid_t type, const std::vector<hsize_t>& dims,
                    hid_t plist = H5P_DEFAULT) {
  const Handle space(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr), H5Sclose, "space");
  return {H5Dcreate2(file.id(), name.c_str(), type, space.id(), H5P_DEFAULT, plist, H5P_DEFAULT), H5Dclose, "dataset"};
}

template <class T>
void put(const Handle& file, const std::string& name, const std::vector<hsize_t>& dims, const std::vector<T>& values,
         hid_t type = h5::native<T>()) {
  const Handle dataset = make_dataset(file, name, type, dims);
  h5::check(H5Dwrite(dataset.id(), h5::native<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), "write");
}

class DataHdf5 : public DataFiles {
 protected:
  static DataSet load(const std::string& inputs = "/inputs", const std::string& targets = "/labels",
                      bool labels = true) {
    return load_hdf5({"file.h5", std::nullopt, inputs, targets, labels});
  }
  static std::string error(const std::string& inputs = "/inputs", const std::string& targets = "/labels",
                           bool labels = true) {
    return user_error([&] { load(inputs, targets, labels); });
  }
  /// Two samples of two bytes, labels 1 and 0.
  static Handle good_file() {
    Handle file = create_file("file.h5");
    put<std::uint8_t>(file, "inputs", {2, 2}, {1, 2, 3, 255});
    put<std::int64_t>(file, "labels", {2}, {1, 0}, H5T_STD_I16BE);
    return file;
  }
};

TEST_F(DataHdf5, KeepsBytesAndReadsLabelsOfAnyWidth) {
  good_file();
  const DataSet data = load();
  EXPECT_EQ(data.input_shape, Shape{2});
  EXPECT_EQ(data.classes, 2);
  EXPECT_EQ(std::get<std::vector<std::uint8_t>>(data.train.inputs), (std::vector<std::uint8_t>{1, 2, 3, 255}));
  EXPECT_EQ(std::get<std::vector<std::int64_t>>(data.train.targets), (std::vector<std::int64_t>{1, 0}));
  EXPECT_EQ(data.files, std::vector<std::string>{"file.h5"});
}

TEST_F(DataHdf5, ReadsFloatsTargetsAndGroups) {
  {
    const Handle file = create_file("file.h5");
    const Handle group(H5Gcreate2(file.id(), "g", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose, "group");
    put<float>(file, "g/x", {2, 1, 2}, {1, 2, 3, 4}, H5T_IEEE_F32BE);
    put<double>(file, "g/y", {2, 3}, {1, 2, 3, 4, 5, 6});
    put<std::int64_t>(file, "g/n", {2}, {-7, 9});
  }
  const DataSet data = load("g/x", "/g/y", false);
  EXPECT_EQ(data.input_shape, (Shape{1, 2}));
  EXPECT_EQ(data.target_size, 3);
  EXPECT_EQ(std::get<std::vector<float>>(data.train.inputs), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(std::get<std::vector<double>>(data.train.targets), (std::vector<double>{1, 2, 3, 4, 5, 6}));
  const DataSet numbers = load("/g/n", "/g/n", false);
  EXPECT_EQ(numbers.input_shape, Shape{1});
  EXPECT_EQ(std::get<std::vector<double>>(numbers.train.inputs), (std::vector<double>{-7, 9}));
}

/// An attribute of numbers, as netCDF libraries write them.
template <class T>
void attach(const Handle& file, const std::string& dataset, const char* name, T value) {
  const Handle object(H5Dopen2(file.id(), dataset.c_str(), H5P_DEFAULT), H5Dclose, "dataset");
  const hsize_t one = 1;
  const Handle space(H5Screate_simple(1, &one, nullptr), H5Sclose, "space");
  const Handle attribute(H5Acreate2(object.id(), name, h5::native<T>(), space.id(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose,
                         "attribute");
  h5::check(H5Awrite(attribute.id(), h5::native<T>(), &value), "write an attribute");
}

void attach_text(const Handle& file, const std::string& dataset, const char* name, const std::string& text) {
  const Handle object(H5Dopen2(file.id(), dataset.c_str(), H5P_DEFAULT), H5Dclose, "dataset");
  const Handle type(H5Tcopy(H5T_C_S1), H5Tclose, "type");
  h5::check(H5Tset_size(type.id(), text.size()), "size");
  const Handle space(H5Screate(H5S_SCALAR), H5Sclose, "space");
  const Handle attribute(H5Acreate2(object.id(), name, type.id(), space.id(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose,
                         "attribute");
  h5::check(H5Awrite(attribute.id(), type.id(), text.data()), "write an attribute");
}

TEST_F(DataHdf5, RefusesASignThatAnAttributeDenies) {
  const auto error_of = [&](const std::string& dataset, const std::string& word) {
    attach_text(good_file(), dataset, "_Unsigned", word);
    return error("/inputs", "/labels", false);
  };
  EXPECT_EQ(error_of("inputs", "true"), "");
  EXPECT_EQ(error_of("labels", "false"), "");
  EXPECT_EQ(error_of("inputs", "false"),
            "65 file.h5: error: '/inputs' holds unsigned numbers that its attribute _Unsigned declares signed\n"
            "  hint: store them in a signed type, or remove the attribute");
  EXPECT_EQ(error_of("labels", "True"),
            "65 file.h5: error: '/labels' holds signed numbers that its attribute _Unsigned declares unsigned\n"
            "  hint: store them in an unsigned type, or remove the attribute");
}

TEST_F(DataHdf5, UnpacksNumbersThatNetcdfPacked) {
  {
    const Handle file = good_file();
    attach(file, "inputs", "scale_factor", 0.5);
    attach(file, "inputs", "add_offset", -1.0f);
  }
  EXPECT_EQ(std::get<std::vector<double>>(load().train.inputs), (std::vector<double>{-0.5, 0, 0.5, 126.5}));
  {
    const Handle file = good_file();
    attach(file, "inputs", "scale_factor", 1.0);
    attach(file, "inputs", "add_offset", 0.0);
  }
  EXPECT_EQ(load().train.inputs.index(), 0u);  // bytes stay bytes
  {
    const Handle file = good_file();
    attach(file, "labels", "scale_factor", 2.0);
  }
  EXPECT_EQ(error(),
            "65 file.h5: error: '/labels' holds whole numbers, but its attributes scale_factor and add_offset say that "
            "they are packed\n  hint: store them unpacked, without these attributes");
}

TEST_F(DataHdf5, RefusesValuesThatNetcdfMarksAsMissing) {
  {
    const Handle file = create_file("file.h5");
    put<float>(file, "inputs", {2, 2}, {1, 2, 3, 9.96921e36f});
    put<std::int64_t>(file, "labels", {2}, {1, 0});
    attach(file, "inputs", "_FillValue", 9.96921e36f);
  }
  EXPECT_EQ(
      error(),
      "65 file.h5: error: '/inputs': sample 1, element 1 is a missing value (its attribute _FillValue; both counted "
      "from 0)\n  hint: fill the gap, leave out the sample, or remove the attribute if this value is meant");
  {
    const Handle file = good_file();
    attach(file, "inputs", "missing_value", -9999.0);
    attach(file, "inputs", "_FillValue", std::numeric_limits<double>::quiet_NaN());
  }
  EXPECT_EQ(error(), "");
}

TEST_F(DataHdf5, ReadsATestFile) {
  good_file();
  std::filesystem::copy("file.h5", "test.h5");
  const DataSet data = load_hdf5({"file.h5", "test.h5", "/inputs", "/labels", true});
  EXPECT_EQ(data.test->count, 2);
  EXPECT_EQ(data.files, (std::vector<std::string>{"file.h5", "test.h5"}));
}

TEST_F(DataHdf5, ReadsLengths) {
  {
    const Handle file = good_file();
    put<std::int64_t>(file, "lengths", {2}, {2, 1}, H5T_STD_U8LE);
    put<std::int64_t>(file, "long", {2}, {2, 3});
    put<double>(file, "unsigned", {2}, {2, 18446744073709549568.0}, H5T_STD_U64LE);
    put<float>(file, "floats", {2}, {2, 1});
    put<float>(file, "halves", {2}, {2, 1.5});
  }
  const auto load_with = [](const std::string& lengths) {
    return load_hdf5({"file.h5", std::nullopt, "/inputs", "/labels", true, lengths});
  };
  const auto error_with = [&](const std::string& lengths) { return user_error([&] { load_with(lengths); }); };
  EXPECT_EQ(load_with("/lengths").train.lengths, (std::vector<std::int64_t>{2, 1}));
  EXPECT_EQ(error_with("/long"),
            "65 file.h5: error: sample 1 (counted from 0) has length 3; lengths are 1 to 2\n  /long");
  EXPECT_EQ(load_with("/floats").train.lengths, (std::vector<std::int64_t>{2, 1}));
  EXPECT_EQ(error_with("/halves"),
            "65 file.h5: error: '/halves' holds 1.5 as element 1 (counted from 0), expected lengths: whole numbers\n"
            "  hint: lengths count the valid steps of a sample, from 1 on");
  EXPECT_EQ(error_with("/unsigned"),
            "65 file.h5: error: '/unsigned' holds 18446744073709549568 as element 1 (counted from 0), expected "
            "lengths: whole numbers below 2^63\n  hint: lengths count the valid steps of a sample, from 1 on");
  EXPECT_EQ(error_with("/inputs"),
            "65 file.h5: error: lengths have shape [2, 2], expected one for each of the 2 samples\n  /inputs");
}

/// Two sequences of two steps, of which the first has one, with something else in its padding.
template <class T>
std::string with_padding(T in_padding, T in_sequence, const char* attribute = nullptr, double mark = 0) {
  {
    const Handle file = create_file("file.h5");
    put<T>(file, "inputs", {2, 2, 1}, {1, in_padding, in_sequence, 4});
    put<double>(file, "labels", {2, 2}, {1, std::numeric_limits<double>::quiet_NaN(), 0, 1});
    put<std::int64_t>(file, "lengths", {2}, {1, 2});
    if (attribute != nullptr) attach(file, "inputs", attribute, mark);
  }
  std::string found;
  const std::string error = user_error([&] {
    const DataSet data = load_hdf5({"file.h5", std::nullopt, "inputs", "labels", true, "lengths"});
    std::visit([&](const auto& inputs) { found = fmt::format("{}", fmt::join(inputs, " ")); }, data.train.inputs);
    EXPECT_EQ(std::get<std::vector<std::int64_t>>(data.train.targets), (std::vector<std::int64_t>{1, 0, 0, 1}));
  });
  return found + error;
}

TEST_F(DataHdf5, WhatFollowsASequenceMayBeAnything) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN(), kInfinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(with_padding(kNan, 3.0), "1 0 3 4");
  EXPECT_EQ(with_padding(std::numeric_limits<float>::quiet_NaN(), 3.0f), "1 0 3 4");
  EXPECT_EQ(with_padding(-kInfinity, 3.0), "1 0 3 4");
  EXPECT_EQ(with_padding(1e300, 3.0), "1 0 3 4");  // infinite in float32
  EXPECT_EQ(with_padding(-1.0, 3.0), "1 -1 3 4");
  EXPECT_EQ(with_padding(-9999.0, 3.0, "_FillValue", -9999), "1 0 3 4");
  EXPECT_EQ(with_padding(-9999.0, 3.0, "valid_min", 0), "1 0 3 4");
  EXPECT_EQ(with_padding<std::uint8_t>(255, 3, "_FillValue", 255), "1 0 3 4");
  EXPECT_EQ(with_padding(0.0, kNan),
            "65 file.h5: error: sample 1, element 0 is nan, expected a finite number (both counted from 0)\n  inputs\n"
            "  hint: put a finite number there, or leave out the sample");
  EXPECT_EQ(with_padding(0.0, -9999.0, "_FillValue", -9999),
            "65 file.h5: error: '/inputs': sample 1, element 0 is a missing value (its attribute _FillValue; both "
            "counted from 0)\n  hint: fill the gap, leave out the sample, or remove the attribute if this value is "
            "meant");
}

TEST_F(DataHdf5, SaysWhatWasNeverWritten) {
  const auto load_partly_written = [](hsize_t written, float fill, bool in_chunks) {
    {
      const Handle file = create_file("file.h5");
      const Handle plist(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "plist");
      const std::array<hsize_t, 2> chunk{2, 2};
      if (in_chunks) h5::check(H5Pset_chunk(plist.id(), 2, chunk.data()), "chunk");
      h5::check(H5Pset_fill_value(plist.id(), H5T_NATIVE_FLOAT, &fill), "fill");
      const Handle inputs = make_dataset(file, "inputs", H5T_NATIVE_FLOAT, {5, 3}, plist.id());
      const Handle space(H5Dget_space(inputs.id()), H5Sclose, "space");
      const std::array<hsize_t, 2> start{0, 0}, count{written, 2};
      const Handle memory(H5Screate_simple(2, count.data(), nullptr), H5Sclose, "space");
      const std::vector<float> ones(2 * written, 1.0f);
      if (written > 0) {
        h5::check(H5Sselect_hyperslab(space.id(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr), "sel");
        h5::check(H5Dwrite(inputs.id(), H5T_NATIVE_FLOAT, memory.id(), space.id(), H5P_DEFAULT, ones.data()), "write");
      }
      put<std::int64_t>(file, "labels", {5}, {1, 0, 1, 0, 1});
    }
    std::vector<std::string> found;
    const DataSet data = load();
    for (const Finding& finding : data.findings) found.push_back(finding.name + ": " + in_short(finding));
    std::vector<std::string> warned;
    for (const Finding& finding : data.findings) warned.push_back("file.h5: '/inputs': " + in_short(finding));
    EXPECT_EQ(data.warnings, warned);
    return fmt::format("{}", fmt::join(found, "; "));
  };
  EXPECT_EQ(load_partly_written(3, 9.96921e36f, true),
            "unwritten_inputs: 4 of 6 chunks never written: the fill value 9.96921e+36 stands there");
  EXPECT_EQ(load_partly_written(0, -1, true),
            "unwritten_inputs: 6 of 6 chunks never written: the fill value -1 stands there");
  EXPECT_EQ(load_partly_written(0, 0.1f, false), "unwritten_inputs: never written: the fill value 0.1 stands there");
  EXPECT_EQ(load_partly_written(5, 0, false), "");
}

TEST_F(DataHdf5, NamesWhatIsMissingAndWhatThereIs) {
  good_file();
  EXPECT_EQ(error("/input"),
            "65 file.h5: error: '/' has no 'input'\n  did you mean 'inputs'?\n  hint: it holds: inputs, labels");
  EXPECT_EQ(error("/"), "65 file.h5: error: '/' is a group, not a data set\n  hint: it holds: inputs, labels");
  EXPECT_EQ(error("/inputs/x"), "65 file.h5: error: '/inputs' has no 'x': it is no group");
  std::filesystem::remove("file.h5");
  EXPECT_EQ(error(), "66 file.h5: error: there is no such file");
}

TEST_F(DataHdf5, SaysHowManyNamesItLeavesOut) {
  {
    const Handle file = good_file();
    for (int i = 0; i < 30; ++i) put<float>(file, fmt::format("x{:02}", i), {1}, {1});
  }
  const std::string message = error("/X29");
  EXPECT_NE(message.find("did you mean 'x29'?"), std::string::npos) << message;
  EXPECT_TRUE(message.ends_with(", x17, … and 12 more")) << message;
}

TEST_F(DataHdf5, FollowsAPathOfManyGroups) {
  std::string path;
  {
    const Handle file = good_file();
    for (int i = 0; i < 300; ++i) {
      path += "/g";
      Handle(H5Gcreate2(file.id(), path.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose, "group");
    }
    h5::check(H5Lcreate_soft("/inputs", file.id(), (path + "/x").c_str(), H5P_DEFAULT, H5P_DEFAULT), "link");
  }
  EXPECT_EQ(load(path + "/./x").train.count, 2);
  EXPECT_EQ(error(path + "/other"), "65 file.h5: error: '" + path + "' has no 'other'\n  hint: it holds: x");
}

TEST_F(DataHdf5, RefusesADimensionWithoutValues) {
  attach_text(good_file(), "inputs", "NAME", "This is a netCDF dimension but not a netCDF variable.        10");
  EXPECT_EQ(error(),
            "65 file.h5: error: '/inputs' is a dimension of netCDF, which has a length, but no values\n"
            "  hint: name a variable that has this dimension");
}

TEST_F(DataHdf5, TakesARowOfTargetsForAColumn) {
  {
    const Handle file = good_file();
    put<double>(file, "row", {1, 2}, {3, 4});
    put<double>(file, "rows", {3, 2}, {1, 2, 3, 4, 5, 6});
  }
  const DataSet data = load("/inputs", "/row", false);
  EXPECT_EQ(data.target_size, 1);
  EXPECT_EQ(std::get<std::vector<double>>(data.train.targets), (std::vector<double>{3, 4}));
  EXPECT_EQ(error("/inputs", "/rows", false),
            "65 file.h5: error: 3 targets for the 2 samples of the inputs\n  /rows\n"
            "  hint: the first axis counts samples, and here the shape is [3, 2]: transpose it");
}

// Metadata of the newer formats is under checksums, which the library looks at on its way.
TEST_F(DataHdf5, SaysThatTheFileIsDamaged) {
  {
    const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "access");
    h5::check(H5Pset_libver_bounds(access.id(), H5F_LIBVER_V110, H5F_LIBVER_LATEST), "versions");
    const Handle file(H5Fcreate("file.h5", H5F_ACC_TRUNC, H5P_DEFAULT, access.id()), H5Fclose, "create");
    put<std::uint8_t>(file, "inputs", {2, 2}, {1, 2, 3, 255});
    put<std::int64_t>(file, "labels", {2}, {1, 0});
  }
  std::string whole = read("file.h5");
  const std::size_t header = whole.find("OHDR", whole.find("OHDR") + 1);  // of a data set
  whole[header + 8] ^= 1;
  write("file.h5", whole);
  EXPECT_EQ(error(),
            "65 file.h5: error: the file is damaged: the HDF5 library could not look at an object\n  hint: it says: "
            "incorrect metadata checksum after all read attempts; copy the file again from where it came, or write it "
            "again");
}

TEST_F(DataHdf5, ReadsNoNameUpToANul) {
  good_file();
  EXPECT_EQ(error(std::string("inputs\0zz", 9)),
            "65 file.h5: error: the name 'inputs\\x00zz' holds a NUL character\n  hint: leave it out");
  EXPECT_EQ(user_error([] {
              load_hdf5({std::string("file.h5\0zz", 10), std::nullopt, "inputs", "labels", true});
            }),
            "66 file.h5\\x00zz: error: a path cannot hold a NUL character\n  hint: leave it out");
}

TEST_F(DataHdf5, RefusesForeignFiles) {
  write("file.h5", std::string(5000, 'x'));
  EXPECT_EQ(error(), "65 file.h5: error: this is not an HDF5 file: its signature is missing");
  write("file.h5", "");
  EXPECT_EQ(error(), "65 file.h5: error: this is not an HDF5 file: its signature is missing");
}

TEST_F(DataHdf5, FindsTheSignatureBehindAUserBlock) {
  {
    const Handle plist(H5Pcreate(H5P_FILE_CREATE), H5Pclose, "plist");
    h5::check(H5Pset_userblock(plist.id(), 1024), "user block");
    const Handle file(H5Fcreate("file.h5", H5F_ACC_TRUNC, plist.id(), H5P_DEFAULT), H5Fclose, "create");
    put<float>(file, "inputs", {1, 1}, {5});
    put<std::int64_t>(file, "labels", {1}, {0});
  }
  EXPECT_EQ(load().train.count, 1);
}

TEST_F(DataHdf5, FollowsLinksWithinTheFileOnly) {
  {
    const Handle file = good_file();
    h5::check(H5Lcreate_soft("/inputs", file.id(), "soft", H5P_DEFAULT, H5P_DEFAULT), "link");
    h5::check(H5Lcreate_external("other.h5", "/", file.id(), "external", H5P_DEFAULT, H5P_DEFAULT), "link");
    h5::check(H5Lcreate_hard(file.id(), "/inputs", file.id(), "hard", H5P_DEFAULT, H5P_DEFAULT), "link");
  }
  EXPECT_EQ(load("/hard").train.count, 2);
  EXPECT_EQ(load("/soft").train.count, 2);
  EXPECT_EQ(error("/external/inputs"),
            "65 file.h5: error: '/external' is a link into another file\n  hint: copy what it leads to into this one");
}

TEST_F(DataHdf5, RefusesStorageOutsideTheFile) {
  write("secret", "abcd");
  {
    const Handle file = good_file();
    const Handle plist(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "plist");
    h5::check(H5Pset_external(plist.id(), "secret", 0, 4), "external");
    make_dataset(file, "outside", H5T_STD_U8LE, {2, 2}, plist.id());
    const Handle space(H5Screate_simple(2, std::vector<hsize_t>{2, 2}.data(), nullptr), H5Sclose, "space");
    const Handle virtual_plist(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "plist");
    h5::check(H5Pset_virtual(virtual_plist.id(), space.id(), "other.h5", "/x", space.id()), "virtual");
    make_dataset(file, "virtual", H5T_STD_U8LE, {2, 2}, virtual_plist.id());
  }
  const std::string copy = "\n  hint: copy its values into a data set of this file";
  EXPECT_EQ(error("/outside"), "65 file.h5: error: '/outside' is stored in other files" + copy);
  EXPECT_EQ(error("/virtual"), "65 file.h5: error: '/virtual' is a virtual data set: a view of others" + copy);
}

TEST_F(DataHdf5, RefusesForeignFilters) {
  {
    const H5Z_class2_t filter{
        H5Z_CLASS_T_VERS,
        300,
        1,
        1,
        "private",
        nullptr,
        nullptr,
        [](unsigned, std::size_t, const unsigned*, std::size_t bytes, std::size_t*, void**) { return bytes; }};
    h5::check(H5Zregister(&filter), "register");
    const Handle file = good_file();
    const Handle plist(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "plist");
    const hsize_t chunk[] = {2, 2};
    h5::check(H5Pset_chunk(plist.id(), 2, chunk), "chunk");
    h5::check(H5Pset_filter(plist.id(), 300, 0, 0, nullptr), "filter");
    make_dataset(file, "filtered", H5T_STD_U8LE, {2, 2}, plist.id());
  }
  EXPECT_EQ(error("/filtered").substr(0, 102),
            "65 file.h5: error: '/filtered' is compressed with filter 300, which is none of HDF5's own filters\n  hi");
}

TEST_F(DataHdf5, RefusesTypesThatAreNotNumbers) {
  {
    const Handle file = good_file();
    const Handle text(H5Tcopy(H5T_C_S1), H5Tclose, "type");
    h5::check(H5Tset_size(text.id(), H5T_VARIABLE), "variable");
    make_dataset(file, "text", text.id(), {2});
    const Handle list(H5Tvlen_create(H5T_STD_U8LE), H5Tclose, "type");
    make_dataset(file, "list", list.id(), {2});
    put<float>(file, "floats", {2}, {0, 0.5});
    put<std::int64_t>(file, "wide", {2, 2}, {0, 1, 0, 1});
    const Handle scalar(H5Screate(H5S_SCALAR), H5Sclose, "space");
    Handle(H5Dcreate2(file.id(), "scalar", H5T_STD_U8LE, scalar.id(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Dclose,
           "");
  }
  EXPECT_NE(error("/text").find("'/text' holds text, expected numbers\n  hint: "), std::string::npos);
  EXPECT_NE(error("/list").find("'/list' holds lists of different lengths\n  hint: "), std::string::npos);
  EXPECT_EQ(error("/scalar"),
            "65 file.h5: error: '/scalar' is a single value without an axis, expected an axis of samples");
  EXPECT_EQ(error("/inputs", "/floats"),
            "65 file.h5: error: '/floats' holds 0.5 as element 1 (counted from 0), expected labels: whole numbers\n"
            "  hint: to train on numbers, write 'targets: /floats'");
}

TEST_F(DataHdf5, ReadsLabelsOfEachStep) {
  {
    const Handle file = create_file("file.h5");
    put<float>(file, "inputs", {2, 3, 1}, {1, 2, 3, 4, 5, 6});
    put<std::int64_t>(file, "labels", {2, 3}, {0, 1, 4, 2, -100, -100});
    const double nan = std::numeric_limits<double>::quiet_NaN();
    put<double>(file, "targets", {2, 3, 1}, {0, 1, 4, 2, nan, nan});
    put<std::int64_t>(file, "lengths", {2}, {3, 1});
  }
  const DataSet data = load_hdf5({"file.h5", std::nullopt, "/inputs", "/labels", true, "/lengths"});
  EXPECT_EQ(data.steps, 3);
  EXPECT_EQ(data.target_shape, Shape{3});
  EXPECT_EQ(data.classes, 5);
  EXPECT_EQ(std::get<std::vector<std::int64_t>>(data.train.targets), (std::vector<std::int64_t>{0, 1, 4, 2, 0, 0}))
      << "what stands beyond a length is never looked at";
  EXPECT_EQ(error(),
            "65 file.h5: error: the label of sample 1, step 1 (both counted from 0) is -100, expected a class "
            "number from 0 to 16777215\n  /labels\n  hint: classes are counted from 0: make 0 and 1 of -1 and 1; where "
            "a negative "
            "number means `ignore`, leave the sample out, or let `lengths` end before such steps");
  const DataSet vectors = load_hdf5({"file.h5", std::nullopt, "/inputs", "/targets", false, "/lengths"});
  EXPECT_EQ(vectors.target_shape, (Shape{3, 1}));
  std::vector<double> targets = std::get<std::vector<double>>(vectors.train.targets);
  EXPECT_TRUE(std::isnan(targets[5])) << "the loss, which knows the network, looks at it or not";
  targets.resize(4);
  EXPECT_EQ(targets, (std::vector<double>{0, 1, 4, 2}));
}

TEST_F(DataHdf5, RefusesGiantsBeforeTakingMemory) {
  {
    const Handle file = good_file();
    const Handle plist(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "plist");
    const hsize_t chunk[] = {16, 1};
    h5::check(H5Pset_chunk(plist.id(), 2, chunk), "chunk");
    make_dataset(file, "giant", H5T_STD_U8LE, {hsize_t{1} << 40, 4}, plist.id());
    make_dataset(file, "overflow", H5T_STD_U8LE, {hsize_t{1} << 60, hsize_t{1} << 3}, plist.id());
    make_dataset(file, "nothing", H5T_STD_U8LE, {0, 4});
  }
  EXPECT_EQ(
      error("/giant"),
      "65 file.h5: error: a table of shape [1099511627776, 4] with 1 bytes an element exceeds the limit of 4 GiB");
  EXPECT_NE(error("/overflow").find("exceeds the limit of 4 GiB"), std::string::npos);
  EXPECT_EQ(error("/nothing"), "65 file.h5: error: a table of shape [0, 4] holds no samples");
}

TEST_F(DataHdf5, ElementsNeverWrittenAreFilled) {
  {
    const Handle file = good_file();
    const Handle plist(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "plist");
    const hsize_t chunk[] = {1};
    const std::int16_t fill = 3;
    h5::check(H5Pset_chunk(plist.id(), 1, chunk), "chunk");
    h5::check(H5Pset_fill_value(plist.id(), H5T_NATIVE_INT16, &fill), "fill");
    make_dataset(file, "unwritten", H5T_STD_I64LE, {2}, plist.id());
  }
  EXPECT_EQ(std::get<std::vector<std::int64_t>>(load("/inputs", "/unwritten").train.targets),
            (std::vector<std::int64_t>{3, 3}));
}

TEST_F(DataHdf5, RefusesElementsThatNothingStandsFor) {
  {
    const Handle file = good_file();
    const Handle plist(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "plist");
    h5::check(H5Pset_fill_value(plist.id(), H5T_NATIVE_INT16, nullptr), "fill");
    make_dataset(file, "nothing", H5T_STD_I64LE, {2}, plist.id());
  }
  EXPECT_EQ(error("/nothing"), "65 file.h5: error: '/nothing' has a shape, but was never given values");
}

TEST_F(DataHdf5, RefusesTablesThatDoNotFit) {
  {
    const Handle file = create_file("file.h5");
    put<float>(file, "inputs", {2, 1}, {1, std::numeric_limits<float>::quiet_NaN()});
    put<std::int64_t>(file, "labels", {3}, {0, 1, 2});
    put<std::int64_t>(file, "negative", {2}, {0, -1});
    put<float>(file, "finite", {2, 1}, {1, 2});
  }
  EXPECT_EQ(error(), "65 file.h5: error: 3 labels for the 2 samples of the inputs\n  /labels");
  EXPECT_EQ(error("/inputs", "/finite", false),
            "65 file.h5: error: sample 1, element 0 is nan, expected a finite number (both counted from 0)\n  /inputs\n"
            "  hint: put a finite number there, or leave out the sample");
  EXPECT_NE(error("/finite", "/negative").find("is -1, expected a class number"), std::string::npos);
}

// The parent must outlive whatever a damaged file does to the library: each load ends in success or a UserError. On two
// threads, since children are started on any.
TEST_F(DataHdf5, OutlivesEveryFlippedByte) {
  good_file();
  const std::string whole = read("file.h5");
  std::atomic<int> refused = 0;
  const auto flip_every_second = [&](std::size_t first) {
    const std::string name = fmt::format("damaged{}.h5", first);
    for (std::size_t at = first; at < whole.size(); at += 2) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(~damaged[at]);
      write(name, damaged);
      const std::string message = user_error([&] { load_hdf5({name, std::nullopt, "/inputs", "/labels", true}); });
      if (message.empty()) continue;
      ++refused;
      EXPECT_TRUE(message.starts_with(fmt::format("65 {}: error:", name))) << "byte " << at << ": " << message;
    }
  };
  std::jthread other(flip_every_second, 1);
  flip_every_second(0);
  other.join();
  EXPECT_GT(refused, 50);
}

TEST_F(DataHdf5, OutlivesEveryTruncation) {
  good_file();
  const std::string whole = read("file.h5");
  for (std::size_t size = 0; size < whole.size(); size += 7) {
    write("file.h5", whole.substr(0, size));
    EXPECT_EQ(error().substr(0, 18), "65 file.h5: error:") << size;
  }
}

using Tables = std::vector<Table>;

/// What children do, by name.
const std::map<std::string, Tables (*)()> kReadings = {
    {"abort", []() -> Tables { std::abort(); }},
    {"exit", []() -> Tables { _exit(3); }},
    {"are killed", []() -> Tables { std::exit(raise(SIGKILL)); }},
    {"hang",
     []() -> Tables {
       while (true) pause();
     }},
    {"lack memory", []() -> Tables { throw std::bad_alloc(); }},
    {"throw", []() -> Tables { throw std::runtime_error("reason"); }},
    {"throw a user's error", []() -> Tables { throw UserError(ExitCode::no_input, "what", "hint"); }},
    {"are told to end",
     []() -> Tables {
       for (const int request : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) raise(request);
       return {{{1}, std::vector<float>{2.5f}, {}}};
     }},
    {"make every type",
     []() -> Tables {
       return {{{2}, std::vector<std::uint8_t>{1, 2}, {}},
               {{1, 1}, std::vector<float>{2.5f}, {}},
               {{1}, std::vector<double>{-1.0}, {}},
               {{1}, std::vector<std::int64_t>{-5}, {}}};
     }},
};

Tables make_tables(ByteReader& request) {
  return kReadings.at(request.text())();
}

Tables tables_of_children_that(const std::string& reading) {
  return read_in_child(
      "file.h5", testing::kMakeTables, [&](ByteWriter& request) { request.text(reading); }, std::chrono::seconds(1));
}

TEST(DataIsolation, ReportsHowTheChildDied) {
  const auto error = [](const std::string& reading) { return user_error([&] { tables_of_children_that(reading); }); };
  EXPECT_EQ(error("abort"), "65 file.h5: error: the HDF5 library crashed on it (signal SIGABRT): the file is damaged");
  EXPECT_EQ(error("exit"), "65 file.h5: error: the HDF5 library crashed on it (exit status 3): the file is damaged");
  EXPECT_EQ(error("are killed"), "74 file.h5: error: the process that read it was killed (SIGKILL)");
  EXPECT_EQ(error("hang"), "65 file.h5: error: the HDF5 library made no progress on it for 1 s: the file is damaged");
  EXPECT_EQ(error("lack memory"), "65 file.h5: error: reading it takes more memory than the limit");
  EXPECT_EQ(error("throw"), "65 file.h5: error: reason");
  EXPECT_EQ(error("throw a user's error"), "66 file.h5: error: what\n  hint: hint");
}

TEST(DataIsolation, LeavesWhatATerminalSendsToTheParent) {
  EXPECT_EQ(tables_of_children_that("are told to end").size(), 1u);
}

TEST(DataIsolation, BringsEveryTypeBack) {
  const Tables tables = tables_of_children_that("make every type");
  ASSERT_EQ(tables.size(), 4u);
  EXPECT_EQ(std::get<std::vector<std::uint8_t>>(tables[0].values), (std::vector<std::uint8_t>{1, 2}));
  EXPECT_EQ(std::get<std::vector<float>>(tables[1].values), std::vector<float>{2.5f});
  EXPECT_EQ(tables[1].dims, (Shape{1, 1}));
  EXPECT_EQ(std::get<std::vector<double>>(tables[2].values), std::vector<double>{-1.0});
  EXPECT_EQ(std::get<std::vector<std::int64_t>>(tables[3].values), std::vector<std::int64_t>{-5});
}

TEST_F(DataHdf5, IsReadOnSeveralThreadsAtOnce) {
  good_file();
  std::vector<std::jthread> readers;
  for (int i = 0; i < 4; ++i)
    readers.emplace_back([] {
      for (int time = 0; time < 5; ++time) EXPECT_EQ(load().classes, 2);
    });
}

}  // namespace

const ChildJob testing::kMakeTables = table_job<make_tables>("test-make-tables");

}  // namespace backplane
