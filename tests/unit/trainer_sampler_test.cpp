#include "trainer/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace backplane {
namespace {

using Batch = std::vector<std::int64_t>;

std::vector<Batch> batches_of(const Sampler& sampler) {
  std::vector<Batch> all;
  for (std::int64_t i = 0; i < sampler.batches(); ++i)
    all.emplace_back(sampler.batch(i).begin(), sampler.batch(i).end());
  return all;
}

TEST(Sampler, StartsInTheOrderOfTheData) {
  EXPECT_EQ(batches_of(Sampler(5, 2)), (std::vector<Batch>{{0, 1}, {2, 3}, {4}}));
}

TEST(Sampler, ContiguousBatchesGoOnRowByRow) {
  Sampler sampler(6, 2);
  sampler.batch_contiguously();
  EXPECT_EQ(batches_of(sampler), (std::vector<Batch>{{0, 3}, {1, 4}, {2, 5}}));
}

TEST(Sampler, ContiguousBatchesOfAnyCountHoldEverySampleOnceAndNeverGrow) {
  for (std::int64_t count = 1; count < 60; ++count)
    for (std::int64_t size = 1; size < 20; ++size) {
      SCOPED_TRACE(::testing::Message() << count << " samples, batches of " << size);
      Sampler sampler(count, size);
      const std::int64_t batches = sampler.batches();
      sampler.batch_contiguously();
      const std::vector<Batch> all = batches_of(sampler);
      ASSERT_EQ(std::ssize(all), batches);
      Batch seen;
      for (std::size_t i = 0; i < all.size(); ++i) {
        ASSERT_FALSE(all[i].empty());
        ASSERT_LE(std::ssize(all[i]), size);
        if (i > 0) {
          ASSERT_LE(all[i].size(), all[i - 1].size());
          for (std::size_t n = 0; n < all[i].size(); ++n) ASSERT_EQ(all[i][n], all[i - 1][n] + 1);
        }
        seen.insert(seen.end(), all[i].begin(), all[i].end());
      }
      std::sort(seen.begin(), seen.end());
      for (std::int64_t i = 0; i < count; ++i) ASSERT_EQ(seen[static_cast<std::size_t>(i)], i);
    }
}

TEST(Sampler, ShufflesByKeyAlone) {
  Sampler one(50, 7), other(50, 7);
  one.shuffle(Stream(3, Purpose::shuffle, 1));
  other.shuffle(Stream(3, Purpose::shuffle, 0));
  EXPECT_NE(batches_of(one), batches_of(other));
  other.shuffle(Stream(3, Purpose::shuffle, 1));
  EXPECT_EQ(batches_of(one), batches_of(other));
}

}  // namespace
}  // namespace backplane
