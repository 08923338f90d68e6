#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "parallel/arena.h"
#include "parallel/tree_sum.h"
#include "random/philox.h"

namespace backplane {
namespace {

constexpr std::int64_t kElements = 37;

/// Numbers of very different size, so that another order of additions gives other bits.
template <class T>
std::vector<std::vector<T>> parts(std::int64_t count) {
  std::vector<std::vector<T>> all(static_cast<std::size_t>(count), std::vector<T>(kElements));
  for (std::size_t p = 0; p < all.size(); ++p)
    for (std::size_t i = 0; i < kElements; ++i)
      all[p][i] =
          static_cast<T>(Stream(4, Purpose::check, p).normal(i) * std::pow(10.0, static_cast<double>((p * 5 + i) % 7)));
  return all;
}

template <class T>
std::vector<void*> pointers(std::vector<std::vector<T>>& all) {
  std::vector<void*> to;
  for (auto& part : all) to.push_back(part.data());
  return to;
}

template <class T>
class TreeSum : public ::testing::Test {};
using ElementTypes = ::testing::Types<float, double>;
TYPED_TEST_SUITE(TreeSum, ElementTypes);

TYPED_TEST(TreeSum, AddsNeighboursThenPairsThenFours) {
  using T = TypeParam;
  using Tree = T (*)(const T*);
  const Tree trees[] = {
      [](const T* p) { return p[0]; },
      [](const T* p) { return p[0] + p[1]; },
      [](const T* p) { return (p[0] + p[1]) + p[2]; },
      [](const T* p) { return (p[0] + p[1]) + (p[2] + p[3]); },
      [](const T* p) { return ((p[0] + p[1]) + (p[2] + p[3])) + p[4]; },
      [](const T* p) { return ((p[0] + p[1]) + (p[2] + p[3])) + (p[4] + p[5]); },
      [](const T* p) { return ((p[0] + p[1]) + (p[2] + p[3])) + ((p[4] + p[5]) + p[6]); },
      [](const T* p) { return ((p[0] + p[1]) + (p[2] + p[3])) + ((p[4] + p[5]) + (p[6] + p[7])); },
      [](const T* p) { return (((p[0] + p[1]) + (p[2] + p[3])) + ((p[4] + p[5]) + (p[6] + p[7]))) + p[8]; },
  };
  for (std::int64_t count = 1; count <= 9; ++count) {
    const auto given = parts<T>(count);
    auto all = given;
    tree_sum<T>(pointers(all).data(), count, 0, kElements);
    for (std::size_t i = 0; i < kElements; ++i) {
      std::vector<T> column;
      for (const auto& part : given) column.push_back(part[i]);
      EXPECT_EQ(all[0][i], trees[count - 1](column.data())) << count << " parts, element " << i;
    }
  }
}

TYPED_TEST(TreeSum, OfTheseNumbersDiffersFromASumInOrder) {
  // Guards the tests here: were the order without effect, they could not fail.
  const auto given = parts<TypeParam>(8);
  auto all = given;
  tree_sum<TypeParam>(pointers(all).data(), 8, 0, kElements);
  int different = 0;
  for (std::size_t i = 0; i < kElements; ++i) {
    TypeParam sum = 0;
    for (const auto& part : given) sum += part[i];
    different += sum != all[0][i];
  }
  EXPECT_GT(different, 5);
}

TYPED_TEST(TreeSum, HasTheSameBitsHoweverTheRangeIsCut) {
  for (std::int64_t count = 1; count <= 9; ++count) {
    auto whole = parts<TypeParam>(count), cut = parts<TypeParam>(count);
    tree_sum<TypeParam>(pointers(whole).data(), count, 0, kElements);
    for (const auto& [begin, end] : {std::pair{30, 37}, {0, 1}, {1, 8}, {8, 8}, {8, 30}})
      tree_sum<TypeParam>(pointers(cut).data(), count, begin, end);
    EXPECT_EQ(cut[0], whole[0]) << count << " parts";
  }
}

TYPED_TEST(TreeSum, LeavesElementsOutsideTheRangeAlone) {
  const auto given = parts<TypeParam>(5);
  auto all = given;
  tree_sum<TypeParam>(pointers(all).data(), 5, 10, 20);
  for (std::size_t p = 0; p < 5; ++p)
    for (std::size_t i = 0; i < kElements; ++i) {
      if (i >= 10 && i < 20) continue;
      EXPECT_EQ(all[p][i], given[p][i]);
    }
}

class ArenaOf : public ::testing::TestWithParam<int> {};
// 16 and 61 are more threads than most test machines have cores.
INSTANTIATE_TEST_SUITE_P(Threads, ArenaOf, ::testing::Values(1, 2, 3, 16, 61));

TEST_P(ArenaOf, RunsEachIndexOnce) {
  Arena arena(GetParam());
  EXPECT_EQ(arena.threads(), GetParam());
  for (const std::int64_t n : {0, 1, 2, 1000}) {
    std::vector<std::atomic<int>> runs(static_cast<std::size_t>(n));
    arena.for_each(n, [&](std::int64_t i) { ++runs[static_cast<std::size_t>(i)]; });
    for (const auto& count : runs) EXPECT_EQ(count.load(), 1);
  }
}

TEST_P(ArenaOf, GivesEachRunningBodyASlotOfItsOwn) {
  Arena arena(GetParam());
  std::vector<std::atomic<bool>> taken(static_cast<std::size_t>(GetParam()));
  std::atomic<int> wrong = 0;
  arena.for_each(2000, [&](std::int64_t) {
    const int slot = Arena::worker();
    if (slot < 0 || slot >= GetParam() || taken[static_cast<std::size_t>(slot)].exchange(true)) {
      ++wrong;
      return;
    }
    std::this_thread::yield();  // lets another worker in, if one would take the same slot
    taken[static_cast<std::size_t>(slot)] = false;
  });
  EXPECT_EQ(wrong.load(), 0);
}

TEST_P(ArenaOf, BringsAnExceptionBackAndGoesOnWorking) {
  Arena arena(GetParam());
  try {
    arena.for_each(100, [](std::int64_t i) {
      if (i == 37) throw std::runtime_error("from body 37");
    });
    FAIL() << "no exception";
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "from body 37");
  }
  std::atomic<int> runs = 0;
  arena.for_each(100, [&](std::int64_t) { ++runs; });
  EXPECT_EQ(runs.load(), 100);
}

TEST_P(ArenaOf, HoldsOpenMpToOneThread) {
  Arena arena(GetParam());
  std::atomic<int> most = 0;
  arena.for_each(200, [&](std::int64_t) {
    if (omp_get_max_threads() > 1) most = omp_get_max_threads();
  });
  EXPECT_EQ(most.load(), 0);
}

TEST_P(ArenaOf, RunsEachIndexOnceInAnyOrder) {
  Arena arena(GetParam());
  arena.disturb(7);
  std::vector<std::atomic<int>> runs(100);
  std::vector<std::int64_t> order(100);
  std::atomic<std::size_t> next = 0;
  arena.for_each(100, [&](std::int64_t i) {
    ++runs[static_cast<std::size_t>(i)];
    order[next++] = i;
  });
  for (const auto& count : runs) EXPECT_EQ(count.load(), 1);
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
}

TEST_P(ArenaOf, PinnedGivesTheCallerItsCoresBack) {
  cpu_set_t before, after;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  {
    Arena arena(GetParam(), Arena::Pin::yes);
    std::atomic<int> widest = 0;
    arena.for_each(100, [&](std::int64_t) {
      cpu_set_t own;
      if (sched_getaffinity(0, sizeof own, &own) == 0 && CPU_COUNT(&own) > widest) widest = CPU_COUNT(&own);
    });
    EXPECT_EQ(widest.load(), 1);
  }
  ASSERT_EQ(sched_getaffinity(0, sizeof after, &after), 0);
  EXPECT_TRUE(CPU_EQUAL(&before, &after));
}

TEST(Arena, OfManyThreadsKeepsThemWhenASmallerOneIsMade) {
  Arena large(8);
  const Arena small(1);
  std::atomic<int> waiting = 0;
  // Only eight workers at once let each other go.
  large.for_each(8, [&](std::int64_t) {
    ++waiting;
    for (const auto end = TaskLog::Clock::now() + std::chrono::seconds(20);
         waiting.load() < 8 && TaskLog::Clock::now() < end;)
      std::this_thread::yield();
  });
  EXPECT_EQ(waiting.load(), 8);
}

TEST(Arena, WithOneThreadStaysOnTheCallersThread) {
  Arena arena(1);
  const std::thread::id caller = std::this_thread::get_id();
  arena.for_each(50, [&](std::int64_t) { EXPECT_EQ(std::this_thread::get_id(), caller); });
}

}  // namespace
}  // namespace backplane
