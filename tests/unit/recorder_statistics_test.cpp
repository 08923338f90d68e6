#include "recorder/statistics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "parallel/arena.h"

namespace backplane {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

const std::vector<Statistic>& all_statistics() {
  using enum Statistic;
  static const std::vector<Statistic> kAll{norm, mean, std, min, max, zeros, quantiles, histogram, cosine};
  return kAll;
}

/// Columns of one record, by name, with memory for what they hold.
struct Record {
  explicit Record(const std::vector<Statistic>& wanted) {
    for (const Statistic statistic : wanted)
      for (const StatisticColumn& column : columns_of(statistic)) {
        names.push_back(column.name);
        values[column.name].resize(static_cast<std::size_t>(element_count(column.shape)));
      }
  }

  template <class T>
  Record& compute(TensorStatistics& statistics, const T* data, std::int64_t count) {
    std::vector<void*> columns;
    for (const std::string& name : names) columns.push_back(values[name].data());
    statistics.compute(data, dtype_of<T>(), count, columns);
    return *this;
  }

  double operator[](const std::string& name) const { return values.at(name).at(0); }
  std::vector<std::int64_t> histogram() const {
    std::vector<std::int64_t> bins(values.at("histogram").size());
    std::memcpy(bins.data(), values.at("histogram").data(), bins.size() * sizeof bins[0]);
    return bins;
  }

  std::vector<std::string> names;
  std::map<std::string, std::vector<double>> values;  ///< a histogram's integers as their bytes
};

template <class T>
Record statistics_of(const std::vector<T>& x) {
  TensorStatistics statistics(all_statistics());
  return Record(all_statistics()).compute(statistics, x.data(), std::ssize(x));
}

/// Without any pattern that lanes or bins could share.
template <class T>
std::vector<T> some_numbers(std::int64_t count, std::uint64_t seed = 1) {
  std::vector<T> x;
  for (std::int64_t i = 0; i < count; ++i) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    const double unit = static_cast<double>(seed >> 11) * 0x1p-53;
    x.push_back(seed % 7 == 0 ? T{0} : static_cast<T>(8.0 * unit * unit - 3.0));
  }
  return x;
}

template <class T>
class StatisticsOf : public ::testing::Test {};
using ElementTypes = ::testing::Types<float, double>;
TYPED_TEST_SUITE(StatisticsOf, ElementTypes);

TYPED_TEST(StatisticsOf, TensorsOfAnySizeAreThoseOfAPlainSum) {
  for (const std::int64_t count : {1, 2, 3, 15, 16, 17, 63, 257, 1001}) {
    const std::vector<TypeParam> x = some_numbers<TypeParam>(count);
    const Record got = statistics_of(x);
    long double sum = 0, squares = 0, deviations = 0, zeros = 0;
    for (const long double value : x) sum += value, squares += value * value, zeros += value == 0;
    for (const long double value : x) deviations += (value - sum / count) * (value - sum / count);
    const double near = 1e-14 * static_cast<double>(count);
    EXPECT_NEAR(got["norm"], static_cast<double>(std::sqrt(squares)), near) << count;
    EXPECT_NEAR(got["mean"], static_cast<double>(sum / count), near) << count;
    EXPECT_NEAR(got["std"], static_cast<double>(std::sqrt(deviations / count)), near) << count;
    EXPECT_EQ(got["zeros"], static_cast<double>(zeros / count)) << count;
    EXPECT_EQ(got["min"], *std::ranges::min_element(x)) << count;
    EXPECT_EQ(got["max"], *std::ranges::max_element(x)) << count;

    std::vector<double> sorted(x.begin(), x.end());
    std::ranges::sort(sorted);
    const double probabilities[] = {0.05, 0.25, 0.5, 0.75, 0.95};
    for (std::size_t i = 0; i < std::size(probabilities); ++i) {
      const double position = probabilities[i] * static_cast<double>(count - 1);
      const auto below = static_cast<std::size_t>(position), above = std::min(below + 1, sorted.size() - 1);
      const double part = position - static_cast<double>(below);
      EXPECT_NEAR(got.values.at("quantiles")[i], (1 - part) * sorted[below] + part * sorted[above], 1e-14) << count;
    }

    const double low = got.values.at("histogram_range")[0], high = got.values.at("histogram_range")[1];
    EXPECT_EQ(low, got["min"]);
    EXPECT_EQ(high, got["max"]);
    std::vector<std::int64_t> bins(64, 0);
    for (const double value : x)
      ++bins[high > low ? std::min<std::size_t>(63, static_cast<std::size_t>((value - low) / (high - low) * 64)) : 0];
    EXPECT_EQ(got.histogram(), bins) << count;
    EXPECT_TRUE(std::isnan(got["cosine"])) << "there was none before";
  }
}

TYPED_TEST(StatisticsOf, OneTensorKnowTheOneBefore) {
  TensorStatistics statistics(all_statistics());
  Record record(all_statistics());
  const std::vector<TypeParam> x{3, 0, 4}, y{0, 5, 0}, back{-6, 0, -8}, shorter{1, 2};
  EXPECT_TRUE(std::isnan(record.compute(statistics, x.data(), 3)["cosine"]));
  EXPECT_EQ(record.compute(statistics, x.data(), 3)["cosine"], 1.0);
  EXPECT_EQ(record.compute(statistics, back.data(), 3)["cosine"], -1.0);
  EXPECT_EQ(record.compute(statistics, y.data(), 3)["cosine"], 0.0);
  EXPECT_TRUE(std::isnan(record.compute(statistics, shorter.data(), 2)["cosine"])) << "nothing to compare with";
}

TEST(Statistics, SeeTheAngleOfVanishingAndOfHugeGradients) {
  for (const double scale : {1e-100, 1e100}) {
    TensorStatistics statistics({Statistic::cosine});
    Record record({Statistic::cosine});
    const std::vector<double> x{scale, 0}, y{scale, scale};
    record.compute(statistics, x.data(), 2);
    EXPECT_NEAR(record.compute(statistics, y.data(), 2)["cosine"], std::sqrt(0.5), 1e-15) << scale;
    EXPECT_EQ(record.compute(statistics, y.data(), 2)["cosine"], 1.0) << scale;
  }
}

TYPED_TEST(StatisticsOf, NothingButZeros) {
  const Record got = statistics_of(std::vector<TypeParam>{0, TypeParam(-0.0), 0});
  EXPECT_EQ(got["zeros"], 1.0);
  for (const char* name : {"norm", "mean", "std", "min", "max"}) EXPECT_EQ(got[name], 0.0) << name;
  EXPECT_EQ(got.values.at("quantiles"), std::vector<double>(5, 0.0));
  EXPECT_EQ(got.histogram()[0], 3);
}

TYPED_TEST(StatisticsOf, ATensorWithNaN) {
  for (const std::size_t place : {0, 1, 2}) {
    std::vector<TypeParam> x{2, 8, 4, 2};
    x[place] = TypeParam(kNaN);
    const Record got = statistics_of(x);
    for (const char* name : {"norm", "mean", "std", "quantiles"}) EXPECT_TRUE(std::isnan(got[name])) << name;
    EXPECT_EQ(got["min"], 2.0) << place;
    EXPECT_EQ(got["max"], place == 1 ? 4.0 : 8.0) << place;
    const std::vector<std::int64_t> bins = got.histogram();
    EXPECT_EQ(std::accumulate(bins.begin(), bins.end(), std::int64_t{0}), 3) << place;
  }
  const Record nothing_else = statistics_of(std::vector<TypeParam>(3, TypeParam(kNaN)));
  for (const char* name : {"min", "max", "histogram_range"}) EXPECT_TRUE(std::isnan(nothing_else[name])) << name;
  EXPECT_EQ(nothing_else.histogram(), std::vector<std::int64_t>(64, 0));
}

TYPED_TEST(StatisticsOf, ATensorWithInfinities) {
  const auto high = TypeParam(kInfinity);
  const Record got = statistics_of(std::vector<TypeParam>{1, high, 2, high, 3});
  EXPECT_EQ(got["norm"], kInfinity);
  EXPECT_EQ(got["min"], 1.0);
  EXPECT_EQ(got["max"], kInfinity);
  EXPECT_EQ(got.values.at("quantiles"), (std::vector<double>{1.2, 2.0, 3.0, kInfinity, kInfinity}));
  // Bins are those of the finite elements, which are what they count.
  EXPECT_EQ(got.values.at("histogram_range"), (std::vector<double>{1.0, 3.0}));
  EXPECT_EQ(got.histogram()[0], 1);
  EXPECT_EQ(got.histogram()[32], 1);
  EXPECT_EQ(got.histogram()[63], 1);

  const Record low = statistics_of(std::vector<TypeParam>{-high, -high, 5});
  EXPECT_EQ(low["min"], -kInfinity);
  EXPECT_EQ(low.values.at("quantiles"),
            (std::vector<double>{-kInfinity, -kInfinity, -kInfinity, -kInfinity, -kInfinity}));
  EXPECT_EQ(low.values.at("histogram_range"), (std::vector<double>{5.0, 5.0}));
  EXPECT_EQ(low.histogram()[0], 1);
}

TEST(Statistics, BinsReachFromEndToEndOfAllNumbers) {
  constexpr double kMost = std::numeric_limits<double>::max();
  const Record got = statistics_of(std::vector<double>{-kMost, 0.0, kMost / 4, kMost});
  for (const std::size_t bin : {0, 32, 40, 63}) EXPECT_EQ(got.histogram()[bin], 1) << bin;
}

TYPED_TEST(StatisticsOf, ATensorHaveTheSameBitsOnAnyThreadAndAtAnyAddress) {
  constexpr std::int64_t kTensors = 24;
  std::vector<std::vector<TypeParam>> tensors;
  for (std::int64_t i = 0; i < kTensors; ++i) {
    tensors.push_back(some_numbers<TypeParam>(i % 4 + 1000 + 37 * i, static_cast<std::uint64_t>(i) + 1));
    tensors.back().insert(tensors.back().begin(), static_cast<std::size_t>(i % 4), TypeParam{0});
  }
  const auto computed_on = [&](int threads, bool is_moved) {
    std::vector<TensorStatistics> statistics(kTensors, TensorStatistics(all_statistics()));
    std::vector<Record> records(kTensors, Record(all_statistics()));
    Arena arena(threads);
    for (int step = 0; step < 2; ++step)
      arena.for_each(kTensors, [&](std::int64_t i) {
        const auto index = static_cast<std::size_t>(i);
        const std::int64_t skipped = i % 4;  // the same elements at an address that is aligned otherwise
        std::vector<TypeParam> moved(tensors[index].begin() + skipped, tensors[index].end());
        records[index].compute(statistics[index], is_moved ? moved.data() : tensors[index].data() + skipped,
                               std::ssize(moved));
      });
    return records;
  };
  const std::vector<Record> want = computed_on(1, false);
  for (const int threads : {2, 5, 16}) {
    const std::vector<Record> got = computed_on(threads, true);
    for (std::size_t i = 0; i < want.size(); ++i)
      for (const auto& [name, values] : want[i].values)
        EXPECT_EQ(std::memcmp(got[i].values.at(name).data(), values.data(), values.size() * sizeof(double)), 0)
            << name << " of tensor " << i << " on " << threads << " threads";
  }
}

TEST(Statistics, HaveAColumnForWhatTheyCompute) {
  EXPECT_EQ(statistic_names().size(), all_statistics().size());
  for (const Statistic statistic : all_statistics()) {
    const std::vector<StatisticColumn> columns = columns_of(statistic);
    ASSERT_EQ(columns.size(), statistic == Statistic::histogram ? 2u : 1u);
    EXPECT_EQ(columns[0].name, statistic_names()[static_cast<std::size_t>(statistic)]);
    for (const StatisticColumn& column : columns) {
      EXPECT_EQ(column.axis.empty(), column.shape.empty()) << column.name;
      EXPECT_NE(column.definition, "") << column.name;
    }
  }
}

}  // namespace
}  // namespace backplane
