// What a damaged index, or a program that writes chunks itself, may leave in a file: HDF5 reads it without an error.

#include <boost/iostreams/filter/zlib.hpp>

#include <array>
#include <functional>

#include "data/hdf5_tables.h"
#include "data_test_files.h"
#include "hdf5/handle.h"

namespace backplane {
namespace {

using h5::Handle;

constexpr std::size_t kChunkBytes = 2 * 3 * sizeof(double);
const std::vector<double> kValues{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};  // a table [4, 3] in chunks of [2, 3]

enum Filters : unsigned { none = 0, deflate = 1, shuffle = 2, fletcher32 = 4, scaleoffset = 8, nbit = 16 };

std::string zlib(const std::string& bytes) {
  std::string packed;
  boost::iostreams::filtering_ostream stream;
  stream.push(boost::iostreams::zlib_compressor());
  stream.push(boost::iostreams::back_inserter(packed));
  stream << bytes;
  stream.reset();
  return packed;
}

class DataHdf5Chunks : public DataFiles {
 protected:
  /// A file of inputs [4, 3] without values, and targets.
  static void make(unsigned filters, const std::function<void(hid_t inputs)>& fill, hid_t type = H5T_NATIVE_DOUBLE,
                   bool is_new = false) {
    const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "access");
    if (is_new) h5::check(H5Pset_libver_bounds(access.id(), H5F_LIBVER_V110, H5F_LIBVER_LATEST), "versions");
    const Handle file(H5Fcreate("file.h5", H5F_ACC_TRUNC, H5P_DEFAULT, access.id()), H5Fclose, "create");
    const Handle plist(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "plist");
    const std::array<hsize_t, 2> dims{4, 3}, chunk{2, 3};
    h5::check(H5Pset_chunk(plist.id(), 2, chunk.data()), "chunk");
    if (filters & scaleoffset) h5::check(H5Pset_scaleoffset(plist.id(), H5Z_SO_INT, 0), "filter");
    if (filters & nbit) h5::check(H5Pset_nbit(plist.id()), "filter");
    if (filters & shuffle) h5::check(H5Pset_shuffle(plist.id()), "filter");
    if (filters & deflate) h5::check(H5Pset_deflate(plist.id(), 6), "filter");
    if (filters & fletcher32) h5::check(H5Pset_fletcher32(plist.id()), "filter");
    const Handle space(H5Screate_simple(2, dims.data(), nullptr), H5Sclose, "space");
    const Handle inputs(H5Dcreate2(file.id(), "x", type, space.id(), H5P_DEFAULT, plist.id(), H5P_DEFAULT), H5Dclose,
                        "dataset");
    fill(inputs.id());
    const Handle targets(
        H5Dcreate2(file.id(), "y", H5T_NATIVE_DOUBLE, space.id(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Dclose,
        "dataset");
    h5::check(H5Dwrite(targets.id(), H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, kValues.data()), "write");
  }
  static void write_all(hid_t inputs) {
    h5::check(H5Dwrite(inputs, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, kValues.data()), "write");
  }
  /// Whatever the filters are, both chunks are these bytes.
  static auto write_chunks(const std::string& bytes, std::uint32_t skipped = 0) {
    return [=](hid_t inputs) {
      for (const hsize_t row : {hsize_t{0}, hsize_t{2}}) {
        const std::array<hsize_t, 2> at{row, 0};
        h5::check(H5Dwrite_chunk(inputs, H5P_DEFAULT, skipped, at.data(), bytes.size(), bytes.data()), "write");
      }
    };
  }
  static std::string first_half() { return {reinterpret_cast<const char*>(kValues.data()), kChunkBytes}; }

  static std::vector<double> inputs() {
    const DataSet data = load_hdf5({"file.h5", std::nullopt, "x", "y", false});
    std::vector<double> values;
    std::visit([&](const auto& all) { values.assign(all.begin(), all.end()); }, data.train.inputs);
    return values;
  }
  static std::string error() {
    return user_error([] { inputs(); });
  }

  /// Where the only version 1 B-tree of chunks begins in the file.
  static std::size_t tree(const std::string& file) {
    for (std::size_t at = 0; (at = file.find("TREE", at)) != std::string::npos; ++at)
      if (file[at + 4] == 1) return at;
    return file.size();
  }
};

constexpr std::size_t kTreeHead = 24, kKeyBytes = 4 + 4 + 3 * 8, kAddressBytes = 8;

TEST_F(DataHdf5Chunks, ReadsWhatHdf5Writes) {
  for (const bool is_new : {false, true})
    for (const unsigned filters : {0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u, 9u, 12u, 16u, 17u}) {
      const hid_t type = filters >= scaleoffset ? H5T_STD_I32BE : H5T_IEEE_F32BE;
      for (const hid_t stored : {type, filters >= scaleoffset ? H5T_NATIVE_INT64 : H5T_NATIVE_DOUBLE}) {
        make(filters, write_all, stored, is_new);
        EXPECT_EQ(inputs(), kValues) << filters;
      }
    }
}

TEST_F(DataHdf5Chunks, RefusesChunksOfTooFewBytes) {
  const std::string place = "65 file.h5: error: '/x' is damaged: its chunk at [0, 0] ";
  const std::string hint =
      "\n  hint: copy the file again from where it came; a program that writes chunks itself (write_direct_chunk) has "
      "to give each of them all the bytes of its shape, also of what lies beyond the table";
  make(none, write_chunks(first_half().substr(0, 40)));
  EXPECT_EQ(error(), place + "has fewer bytes than its 48" + hint);
  make(none, write_chunks(std::string(1, '\0')));
  EXPECT_EQ(error(), place + "has fewer bytes than its 48" + hint);
  make(none, write_chunks(first_half() + "12345678"));
  EXPECT_NE(error().find("cannot be read, or has more than its 48 bytes"), std::string::npos) << error();
  make(deflate, write_chunks(zlib(first_half().substr(0, 40))));
  EXPECT_EQ(error(), place + "holds 40 bytes, its shape takes 48" + hint);
  make(deflate | shuffle, write_chunks(zlib(first_half().substr(0, 40))));
  EXPECT_EQ(error(), place + "holds 40 bytes, its shape takes 48" + hint);
  make(deflate, write_chunks(zlib(first_half() + "12345678")));
  EXPECT_EQ(error(), place + "holds 56 bytes, its shape takes 48" + hint);
  make(deflate, write_chunks(zlib(first_half() + std::string(1000, 'x'))));
  EXPECT_EQ(error(), place + "holds more bytes than its shape takes" + hint);
  make(deflate, write_chunks(zlib(first_half()).substr(0, 15)));
  EXPECT_EQ(error(), place + "holds a gzip stream that is damaged or ends early" + hint);
  make(fletcher32, write_chunks(first_half()));
  EXPECT_EQ(error(), place + "differs from its checksum" + hint);
  make(nbit, write_chunks(first_half().substr(0, 40)), H5T_NATIVE_INT64);
  EXPECT_EQ(error(), place + "holds 40 packed bytes, which are too few for its shape" + hint);
  make(scaleoffset, write_chunks(first_half().substr(0, 20)), H5T_NATIVE_INT64);
  EXPECT_EQ(error(), place + "holds 20 packed bytes, which are too few for its shape" + hint);
}

TEST_F(DataHdf5Chunks, ReadsChunksWithoutTheirFilters) {
  std::vector<double> twice(kValues.begin(), kValues.begin() + 6);
  twice.insert(twice.end(), kValues.begin(), kValues.begin() + 6);
  make(deflate, write_chunks(first_half(), 0b1));
  EXPECT_EQ(inputs(), twice);
  make(shuffle | deflate | fletcher32, write_chunks(first_half(), 0b111));
  EXPECT_EQ(inputs(), twice);
  make(shuffle | deflate, write_chunks(zlib(first_half()), 0b01));
  EXPECT_NE(error().find("its chunk at [0, 0] says of its filters what cannot be (mask 0x1)"), std::string::npos);
  make(deflate, write_chunks(zlib(first_half()), 0b1));
  EXPECT_NE(error().find("its shape takes 48"), std::string::npos);
}

// Sizes, filter masks and coordinates of the index are under no checksum.
TEST_F(DataHdf5Chunks, NoFlippedBitOfTheIndexChangesAValue) {
  constexpr std::size_t kSizeAndMask = 8;
  for (const unsigned filters : {0u, 3u, 5u}) {
    make(filters, write_all);
    const std::string whole = read("file.h5");
    const std::size_t first = tree(whole) + kTreeHead;
    int refused = 0;
    for (std::size_t key = 0; key < 2; ++key)
      for (std::size_t bit = 0; bit < 8 * kKeyBytes; bit += bit < 8 * kSizeAndMask ? 1 : 7) {
        std::string damaged = whole;
        damaged[first + key * (kKeyBytes + kAddressBytes) + bit / 8] ^= static_cast<char>(1 << bit % 8);
        write("file.h5", damaged);
        std::vector<double> found;
        const std::string message = user_error([&] { found = inputs(); });
        refused += message.empty() ? 0 : 1;
        if (message.empty()) {
          EXPECT_EQ(found, kValues) << "filters " << filters << ", key " << key << ", bit " << bit;
        }
      }
    EXPECT_GT(refused, 50);
  }
}

TEST_F(DataHdf5Chunks, RefusesAShapeBeyondTheLargest) {
  {
    const Handle file(H5Fcreate("file.h5", H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose, "create");
    const Handle plist(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "plist");
    const std::array<hsize_t, 2> dims{4, 3}, most{H5S_UNLIMITED, 3}, chunk{2, 3};
    h5::check(H5Pset_chunk(plist.id(), 2, chunk.data()), "chunk");
    const Handle space(H5Screate_simple(2, dims.data(), most.data()), H5Sclose, "space");
    for (const char* name : {"x", "y"}) {
      const Handle made(
          H5Dcreate2(file.id(), name, H5T_NATIVE_DOUBLE, space.id(), H5P_DEFAULT, plist.id(), H5P_DEFAULT), H5Dclose,
          "dataset");
      write_all(made.id());
    }
  }
  EXPECT_EQ(inputs(), kValues);
  std::string file = read("file.h5");
  const std::string shape("\4\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", 24);
  file[file.find(shape) + 8] = 35;
  write("file.h5", file);
  const std::string said = error();
#if H5_VERSION_GE(1, 14, 0)  // which looks by itself
  EXPECT_EQ(said.find("65 file.h5: error: the file is damaged: "), 0u) << said;
  EXPECT_NE(said.find("dim 1 size of 35 is greater than maxdim size of 3"), std::string::npos) << said;
#else
  EXPECT_EQ(said,
            "65 file.h5: error: '/x' is damaged: its axis 1 has extent 35, and may have 3 at most\n"
            "  hint: copy the file again from where it came, or write this data set again");
#endif
}

TEST_F(DataHdf5Chunks, RefusesAChunkThatItsIndexPutsElsewhere) {
  make(none, write_all);
  std::string file = read("file.h5");
  file[tree(file) + kTreeHead + kKeyBytes + kAddressBytes + 8] ^= 4;  // row 2 becomes row 6
  write("file.h5", file);
  EXPECT_EQ(error(),
            "65 file.h5: error: '/x' is damaged: its index counts 2 chunks, of which 1 lie where the table has one\n"
            "  hint: copy the file again from where it came, or write this data set again");
}

}  // namespace
}  // namespace backplane
