#include "trainer/batch_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace backplane {
namespace {

using Batch = std::vector<std::int64_t>;

std::vector<Batch> batches_of(const BatchOrder& order) {
  std::vector<Batch> all;
  for (std::int64_t i = 0; i < order.batches(); ++i) all.emplace_back(order.batch(i).begin(), order.batch(i).end());
  return all;
}

TEST(BatchOrder, StartsInTheOrderOfTheData) {
  EXPECT_EQ(batches_of(BatchOrder(5, 2)), (std::vector<Batch>{{0, 1}, {2, 3}, {4}}));
}

TEST(BatchOrder, StreamsGoOnRowByRow) {
  BatchOrder order(6, 2);
  order.arrange_as_streams();
  EXPECT_EQ(batches_of(order), (std::vector<Batch>{{0, 3}, {1, 4}, {2, 5}}));
}

TEST(BatchOrder, StreamsOfAnyCountHoldEverySampleOnceAndNeverGrow) {
  for (std::int64_t count = 1; count < 60; ++count)
    for (std::int64_t size = 1; size < 20; ++size) {
      SCOPED_TRACE(::testing::Message() << count << " samples, batches of " << size);
      BatchOrder order(count, size);
      const std::int64_t batches = order.batches();
      order.arrange_as_streams();
      const std::vector<Batch> all = batches_of(order);
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

TEST(BatchOrder, ShufflesByKeyAlone) {
  BatchOrder one(50, 7), other(50, 7);
  one.shuffle(Stream(3, Purpose::shuffle, 1));
  other.shuffle(Stream(3, Purpose::shuffle, 0));
  EXPECT_NE(batches_of(one), batches_of(other));
  other.shuffle(Stream(3, Purpose::shuffle, 1));
  EXPECT_EQ(batches_of(one), batches_of(other));
}

}  // namespace
}  // namespace backplane
