#include <map>
#include <set>

#include "data/prepare.h"
#include "data_test_files.h"

namespace backplane {
namespace {

using Numbers = std::vector<double>;

/// `count` images of this shape, whose stored elements count up from 1.
template <class Stored>
DataSet images(const Shape& shape, std::int64_t count) {
  DataSet data;
  data.input_shape = shape;
  std::vector<Stored> inputs(static_cast<std::size_t>(data.input_size() * count));
  for (std::size_t j = 0; j < inputs.size(); ++j) inputs[j] = static_cast<Stored>(j + 1);
  data.train = {std::move(inputs), std::vector<std::int64_t>(static_cast<std::size_t>(count)), count};
  return data;
}

template <class T = double>
std::vector<T> augmented(const DataSet& data, std::int64_t index, std::uint64_t epoch) {
  std::vector<T> out(static_cast<std::size_t>(data.input_size()), -99);
  data.gather_augmented(data.train, index, epoch, out.data());
  return out;
}

/// The plain definition, pixel by pixel: moved, then mirrored.
Numbers reference(const DataSet& data, std::int64_t index, std::int64_t down, std::int64_t right, bool flip) {
  const std::int64_t H = data.input_shape[0], W = data.input_shape[1], C = data.input_shape[2];
  const auto value = [&](std::int64_t y, std::int64_t x, std::int64_t c) {
    const bool inside = y >= 0 && y < H && x >= 0 && x < W;
    const double stored = inside ? static_cast<double>(((index * H + y) * W + x) * C + c + 1) : 0.0;
    const auto f = static_cast<std::size_t>(c) % data.shift.size();
    return (stored - data.shift[f]) * data.scale[f];
  };
  Numbers out;
  for (std::int64_t y = 0; y < H; ++y)
    for (std::int64_t x = 0; x < W; ++x)
      for (std::int64_t c = 0; c < C; ++c) out.push_back(value(y - down, (flip ? W - 1 - x : x) - right, c));
  return out;
}

TEST(DataAugment, EveryImageIsOneOfTheMovedAndMirroredOnesAndAllOccurAlikeOften) {
  DataSet data = images<double>({4, 5, 3}, 2);
  data.shift = {1, 2, 3};
  data.scale = {2, 4, 8};
  data.augmentation = Augmentation{.flip = true, .shift = 2, .seed = 7};
  std::map<Numbers, int> counts;
  for (std::int64_t down = -2; down <= 2; ++down)
    for (std::int64_t right = -2; right <= 2; ++right)
      for (const bool flip : {false, true}) counts[reference(data, 1, down, right, flip)] = 0;
  ASSERT_EQ(counts.size(), 50u);
  for (std::uint64_t epoch = 0; epoch < 10000; ++epoch) {
    const auto found = counts.find(augmented(data, 1, epoch));
    ASSERT_NE(found, counts.end()) << epoch;
    ++found->second;
  }
  for (const auto& [image, count] : counts) EXPECT_NEAR(count, 200, 75);  // over five deviations of 14
}

TEST(DataAugment, BytesAndFloatsAreChangedAlike) {
  DataSet bytes = images<std::uint8_t>({3, 4, 1}, 2), floats = images<float>({3, 4, 1}, 2);
  bytes.augmentation = floats.augmentation = Augmentation{.flip = true, .shift = 1, .seed = 3};
  for (std::uint64_t epoch = 0; epoch < 50; ++epoch)
    ASSERT_EQ(augmented<float>(bytes, 1, epoch), augmented<float>(floats, 1, epoch));
}

TEST(DataAugment, AnImageIsAFunctionOfSeedEpochAndSample) {
  DataSet data = images<float>({8, 8, 1}, 3);
  const auto changes = [&](std::uint64_t seed, std::int64_t index) {
    data.augmentation = Augmentation{.flip = true, .shift = 3, .seed = seed};
    std::vector<Numbers> all;
    for (std::uint64_t epoch = 0; epoch < 20; ++epoch) {
      Numbers image = augmented(data, index, epoch);
      for (double& value : image) value = value == 0 ? 0 : value - static_cast<double>(64 * index);
      all.push_back(image);
    }
    return all;
  };
  EXPECT_EQ(changes(1, 0), changes(1, 0));
  EXPECT_NE(changes(1, 0), changes(2, 0));
  EXPECT_NE(changes(1, 0), changes(1, 1));
  const std::vector<Numbers> epochs = changes(1, 0);
  EXPECT_GT(std::set<Numbers>(epochs.begin(), epochs.end()).size(), 10u);
}

TEST(DataAugment, WithoutItImagesAreAsGathered) {
  DataSet data = images<float>({2, 2, 1}, 2);
  EXPECT_EQ(augmented(data, 1, 5), (Numbers{5, 6, 7, 8}));
  data.augmentation = Augmentation{};
  EXPECT_EQ(augmented(data, 1, 5), (Numbers{5, 6, 7, 8}));
}

TEST(DataAugment, WantsImages) {
  const Origin origin{Place{"run.yaml", 4, 7}, "data.augment", ExitCode::bad_config};
  const auto error = [&](const Shape& shape, std::int64_t shift) {
    return user_error([&] {
      DataSet data = images<float>(shape, 2);
      prepare(data, {.augmentation = Augmentation{.shift = shift}, .augmentation_origin = origin}, 1);
    });
  };
  EXPECT_EQ(error({2, 3, 1}, 1), "");
  EXPECT_EQ(error({6}, 1),
            "78 run.yaml:4:7: error: only images of shape [H, W, C] can be augmented; these samples have shape [6]\n  "
            "data.augment");
  EXPECT_EQ(error({3, 2, 1}, 2),
            "78 run.yaml:4:7: error: a shift by 2 pixels can move images of shape [3, 2, 1] out of sight\n"
            "  data.augment\n  hint: at most 1 keeps some of them");
}

TEST(DataNormalize, IsTorchvisionsForBytesAndPlainForOthers) {
  const Normalization normalization{{0.5, 0.25}, {0.5}, {}, {}};
  DataSet bytes = images<std::uint8_t>({1, 2}, 1);
  prepare(bytes, {.normalization = normalization}, 1);
  Numbers out(2);
  bytes.gather_input(bytes.train, 0, out.data());
  EXPECT_DOUBLE_EQ(out[0], (1 / 255.0 - 0.5) / 0.5);
  EXPECT_DOUBLE_EQ(out[1], (2 / 255.0 - 0.25) / 0.5);
  DataSet floats = images<float>({1, 2}, 1);
  prepare(floats, {.normalization = normalization}, 1);
  floats.gather_input(floats.train, 0, out.data());
  EXPECT_EQ(out, (Numbers{1, 3.5}));
}

TEST(DataNormalize, WantsOneNumberPerChannel) {
  const Origin mean{Place{"run.yaml", 4, 7}, "data.normalize.mean", ExitCode::bad_config};
  const Origin deviation{Place{"run.yaml", 4, 9}, "data.normalize.std", ExitCode::bad_config};
  DataSet data = images<std::uint8_t>({2, 2, 3}, 1);
  EXPECT_EQ(user_error([&] {
              prepare(data, {.normalization = Normalization{{1, 2}, {1}, mean, deviation}}, 1);
            }),
            "78 run.yaml:4:7: error: 2 values, expected 1 or 3: samples have shape [2, 2, 3]\n  data.normalize.mean");
  EXPECT_EQ(user_error([&] {
              prepare(data, {.normalization = Normalization{{1}, {1e-320}, mean, deviation}}, 1);
            }),
            "78 run.yaml:4:9: error: 1e-320 is too small to divide by\n  data.normalize.std");
}

}  // namespace
}  // namespace backplane
