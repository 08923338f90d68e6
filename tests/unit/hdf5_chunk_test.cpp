#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <numeric>

#include "hdf5/chunk.h"
#include "support/model.h"

namespace backplane {
namespace {

using h5::check;
using h5::ChunkEncoder;
using h5::ChunkGrid;
using h5::Handle;
using testing::TemporaryFolder;

template <class T>
void fill(std::vector<T>& values, const std::function<double(std::int64_t)>& value) {
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<T>(value(static_cast<std::int64_t>(i)));
}

/// Elements written chunk by chunk into a file, as HDF5 itself reads them; and the file's bytes on the way.
template <class T>
std::vector<T> round_trip(const Shape& shape, const std::vector<T>& values, ChunkEncoder::Filters filters,
                          hsize_t* stored_bytes = nullptr) {
  const TemporaryFolder folder("chunk");
  h5::make_quiet_and_safe();
  std::vector<T> back(values.size());
  const std::vector<hsize_t> dims(shape.begin(), shape.end());
  const Handle file(H5Fcreate(folder.path("f.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose, "make");
  const Handle space(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr), H5Sclose, "make");
  const Handle creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "make");
  const ChunkGrid grid(shape, sizeof(T));
  check(H5Pset_chunk(creation.id(), static_cast<int>(dims.size()), grid.extents().data()), "set chunks");
  if (filters == ChunkEncoder::Filters::deflate) {
    check(H5Pset_shuffle(creation.id()), "shuffle");
    check(H5Pset_deflate(creation.id(), 1), "deflate");
  }
  check(H5Pset_fletcher32(creation.id()), "checksum");
  ChunkEncoder encoder(filters);
  const auto open = [&] { return H5Dopen2(file.id(), "x", H5P_DEFAULT); };
  {
    const Handle dataset(
        H5Dcreate2(file.id(), "x", h5::native<T>(), space.id(), H5P_DEFAULT, creation.id(), H5P_DEFAULT), H5Dclose,
        "make");
    grid.write(dataset, values.data(), encoder);
  }
  const Handle dataset(open(), H5Dclose, "open");
  if (stored_bytes != nullptr) *stored_bytes = H5Dget_storage_size(dataset.id());
  check(H5Dread(dataset.id(), h5::native<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, back.data()), "read");
  return back;
}

// HDF5 reads a chunk only where its own checksum agrees: that it reads proves shuffle, deflate and fletcher32 alike.
TEST(ChunkGrid, WritesWhatHdf5ReadsInEveryShape) {
  for (const auto filters : {ChunkEncoder::Filters::fletcher32, ChunkEncoder::Filters::deflate})
    for (const Shape& shape :
         {Shape{1}, Shape{7}, Shape{3, 5}, Shape{512, 784}, Shape{700, 1001}, Shape{2, 3, 300'001},
          Shape{1, 1, 262'145}, Shape{3, 1, 1, 400'000}, Shape{300'000, 1, 2}, Shape{5, 2, 3, 4}}) {
      std::vector<float> values(static_cast<std::size_t>(element_count(shape)));
      fill(values, [](std::int64_t i) { return std::sin(static_cast<double>(i) * 12.9898) * 43758.5453; });
      EXPECT_EQ(round_trip(shape, values, filters), values) << to_string(shape);
    }
}

TEST(ChunkGrid, WritesElementsOfEightBytes) {
  std::vector<double> doubles(100'003);
  fill(doubles, [](std::int64_t i) { return std::sqrt(static_cast<double>(i)); });
  EXPECT_EQ(round_trip({100'003}, doubles, ChunkEncoder::Filters::deflate), doubles);
  std::vector<std::int64_t> integers(12'345);
  std::iota(integers.begin(), integers.end(), -5);
  EXPECT_EQ(round_trip({12'345}, integers, ChunkEncoder::Filters::deflate), integers);
}

TEST(ChunkEncoder, PacksWhatCanBePacked) {
  hsize_t stored = 0;
  std::vector<float> zeros(1 << 18);
  round_trip({1 << 18}, zeros, ChunkEncoder::Filters::deflate, &stored);
  EXPECT_LT(stored, zeros.size() * sizeof(float) / 100);

  // The sign and exponent of weights can be packed, their mantissa cannot.
  std::vector<float> weights(1 << 18);
  fill(weights, [](std::int64_t i) { return 0.05 * std::sin(static_cast<double>(i * i % 1'000'003) * 7.77); });
  EXPECT_EQ(round_trip({1 << 18}, weights, ChunkEncoder::Filters::deflate, &stored), weights);
  EXPECT_LT(stored, weights.size() * sizeof(float) * 9 / 10);

  // Random bits cannot: they cost the checksum and nothing else.
  std::vector<std::int64_t> noise(1 << 17);
  std::uint64_t state = 1;
  for (std::int64_t& value : noise) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    value = static_cast<std::int64_t>(state ^ state >> 29 ^ state << 17);
  }
  EXPECT_EQ(round_trip({1 << 17}, noise, ChunkEncoder::Filters::deflate, &stored), noise);
  EXPECT_LE(stored, noise.size() * sizeof(std::int64_t) + 4);
}

}  // namespace
}  // namespace backplane
