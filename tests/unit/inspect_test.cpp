#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <limits>
#include <map>

#include "base/printable.h"
#include "base/sanitizers.h"
#include "inspect/compare.h"
#include "inspect/overview.h"
#include "inspect/print_in_child.h"
#include "inspect/statistics.h"
#include "inspect/text_table.h"
#include "support/model.h"
#include "unit/child_jobs.h"

namespace backplane {
namespace {

using testing::user_error_of;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

template <class T>
Buffer buffer_of(const std::vector<T>& values) {
  Buffer buffer(values.size() * sizeof(T));
  std::copy(values.begin(), values.end(), buffer.as<T>());
  return buffer;
}

TEST(Ulps, CountStepsBetweenFloatingPointNumbers) {
  EXPECT_EQ(ulps_between(1.0f, 1.0f), 0u);
  EXPECT_EQ(ulps_between(1.0f, std::nextafter(1.0f, 2.0f)), 1u);
  EXPECT_EQ(ulps_between(std::nextafter(1.0f, 0.0f), std::nextafter(1.0f, 2.0f)), 2u);
  EXPECT_EQ(ulps_between(1.0f, 2.0f), 1u << 23);
  EXPECT_EQ(ulps_between(-1.0f, -2.0f), 1u << 23);
  EXPECT_EQ(ulps_between(1.0, 2.0), std::uint64_t{1} << 52);
}

TEST(Ulps, PassThroughZero) {
  const float smallest = std::numeric_limits<float>::denorm_min();
  EXPECT_EQ(ulps_between(0.0f, -0.0f), 0u);
  EXPECT_EQ(ulps_between(0.0f, smallest), 1u);
  EXPECT_EQ(ulps_between(-smallest, smallest), 2u);
  EXPECT_EQ(ulps_between(-0.0, 4.9406564584124654e-324), 1u);
  EXPECT_EQ(ulps_between(-1.0f, 1.0f), 2u * 0x3f800000u);
}

TEST(Ulps, OfInfinityAndNan) {
  EXPECT_EQ(ulps_between(std::numeric_limits<float>::max(), kInfinity), 1u);
  EXPECT_EQ(ulps_between(-kInfinity, kInfinity), 2u * 0x7f800000u);
  EXPECT_EQ(ulps_between(kNan, kNan), 0u);
  EXPECT_EQ(ulps_between(kNan, -kNan), kNoUlps);
  EXPECT_EQ(ulps_between(kNan, 1.0f), kNoUlps);
  EXPECT_EQ(ulps_between(-std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()),
            2 * 0x7ff0000000000000u);
}

TensorDifference compared(const std::vector<float>& a, const std::vector<float>& b,
                          std::optional<std::uint64_t> tolerance = {}) {
  return compare(buffer_of(a), buffer_of(b), DType::float32, 100, std::ssize(a), tolerance);
}

TEST(Compare, GoesByBits) {
  const TensorDifference found = compared({1.0f, 0.0f, kNan, kNan, 5.0f}, {1.0f, -0.0f, kNan, -kNan, 5.0f});
  EXPECT_EQ(found.elements, 5);
  EXPECT_EQ(found.differing, 2);
  EXPECT_EQ(found.without_distance, 1);
  EXPECT_EQ(found.most_ulps, 0u);
  EXPECT_EQ(found.first->index, 101);
  EXPECT_EQ(found.first->bits_b, 0x80000000u);
}

TEST(Compare, SaysHowFarApart) {
  const TensorDifference found = compared({1.0f, 4.0f, -2.0f}, {1.0f, 3.0f, -2.5f});
  EXPECT_EQ(found.differing, 2);
  EXPECT_EQ(found.first->index, 101);
  EXPECT_EQ(found.first->a, 4.0);
  EXPECT_EQ(found.first->b, 3.0);
  EXPECT_EQ(found.most_absolute, 1.0);
  EXPECT_EQ(found.most_relative, 0.25);
  EXPECT_EQ(found.most_ulps, 1u << 22);
}

TEST(Compare, TakesCloseNumbersForEqualWithinTheTolerance) {
  const float next = std::nextafter(1.0f, 2.0f), over_next = std::nextafter(next, 2.0f);
  EXPECT_EQ(compared({1.0f, 0.0f, 1.0f}, {next, -0.0f, over_next}, 0).differing, 2);
  EXPECT_EQ(compared({1.0f, 0.0f, 1.0f}, {next, -0.0f, over_next}, 1).differing, 1);
  EXPECT_EQ(compared({1.0f, 0.0f, 1.0f}, {next, -0.0f, over_next}, 2).differing, 0);
  EXPECT_EQ(compared({kNan}, {1.0f}, std::numeric_limits<std::uint64_t>::max()).differing, 1);
}

TEST(Compare, CountsTheStepsOfTheStoredFormat) {
  const auto halves = [](float a, float b, std::optional<std::uint64_t> tolerance) {
    return compare(buffer_of<float>({a}), buffer_of<float>({b}), DType::float32, 0, 1, tolerance, {.is_half = true});
  };
  EXPECT_EQ(halves(1.0f, 1.0f + 0x1p-10f, {}).most_ulps, 1u);
  EXPECT_EQ(halves(0.0f, 0x1p-24f, {}).most_ulps, 1u);  // the smallest half
  EXPECT_EQ(halves(1.0f, 1.0f + 0x1p-10f, 1).differing, 0);
  EXPECT_EQ(halves(-1.0f, 2.0f, 1).differing, 1);
}

TEST(Compare, GivesWholeNumbersNoTolerance) {
  const TensorDifference found =
      compare(buffer_of<double>({7, 8}), buffer_of<double>({7, 9}), DType::float64, 0, 2, 1u << 30, {.is_whole = true});
  EXPECT_EQ(found.differing, 1);
  EXPECT_EQ(found.most_absolute, 1.0);
}

TEST(Compare, LeavesOutWhatOneSideCouldNotCompute) {
  const TensorDifference found = compare(buffer_of<float>({kNan, kNan, 1.0f}), buffer_of<float>({0.5f, kNan, 2.0f}),
                                         DType::float32, 0, 3, {}, {.may_lack = true});
  EXPECT_EQ(found.differing, 1);
  EXPECT_EQ(found.first->index, 2);
}

TEST(Statistics, LeaveOutWhatIsNoNumber) {
  Statistics statistics;
  statistics.add(buffer_of<float>({3.0f, kNan, 0.0f, -kInfinity, -4.0f, -0.0f}), DType::float32, 6);
  EXPECT_EQ(statistics.count, 6);
  EXPECT_EQ(statistics.nans, 1);
  EXPECT_EQ(statistics.infinities, 1);
  EXPECT_EQ(statistics.zeros, 2);
  EXPECT_EQ(statistics.low, -4.0);
  EXPECT_EQ(statistics.high, 3.0);
  EXPECT_EQ(statistics.mean, -0.25);
  EXPECT_EQ(statistics.norm(), 5.0);
  EXPECT_DOUBLE_EQ(statistics.standard_deviation(), std::sqrt((25.0 - 4 * 0.0625) / 4));
}

TEST(Statistics, KeepTheDigitsOfNumbersFarFromZero) {
  Statistics statistics;  // deviation 1 around 1e9: a sum of squares would lose it
  for (int piece = 0; piece < 3; ++piece)
    statistics.add(buffer_of<double>({1e9 - 1, 1e9 + 1, 1e9 - 1, 1e9 + 1}), DType::float64, 4);
  EXPECT_EQ(statistics.mean, 1e9);
  EXPECT_EQ(statistics.standard_deviation(), 1.0);
}

TEST(Printable, LetsNoControlCharacterThrough) {
  EXPECT_EQ(printable("δ = ∂C/∂z, 50 %"), "δ = ∂C/∂z, 50 %");
  EXPECT_EQ(printable("\x1b[31mred\a"), "\\x1b[31mred\\x07");
  EXPECT_EQ(printable("a\nb\tc"), "a\\x0ab\\x09c");
  EXPECT_EQ(printable("a\nb", true), "a\nb");
  EXPECT_EQ(printable("\xc2\x9b"), "\\xc2\\x9b");           // CSI as one character
  EXPECT_EQ(printable("\xe2\x80\xae"), "\\xe2\\x80\\xae");  // right-to-left override
  EXPECT_EQ(printable("\xc0\x9b\xff"), "\\xc0\\x9b\\xff");  // overlong, and no UTF-8
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // a surrogate
  EXPECT_EQ(printable("\xe2\x80"), "\\xe2\\x80");           // cut off
  EXPECT_EQ(printable("\xf0\x9f\x92\xa1"), "\xf0\x9f\x92\xa1");
}

TEST(Thinned, KeepsFirstAndLast) {
  EXPECT_EQ(thinned(0, 12), (std::vector<std::size_t>{}));
  EXPECT_EQ(thinned(3, 12), (std::vector<std::size_t>{0, 1, 2}));
  EXPECT_EQ(thinned(7, 3), (std::vector<std::size_t>{0, 3, 6}));
  EXPECT_EQ(thinned(1000, 12).back(), 999u);
}

TEST(Pieces, CoverATensorInOrder) {
  for (const Shape& shape : {Shape{}, Shape{7}, Shape{3, 1 << 19}, Shape{2, 3, 1 << 20}, Shape{5, 1, 3 << 20},
                             Shape{0, 4}, Shape{1 << 21}, Shape{1 << 11, 3, 1 << 9}}) {
    FileTensor tensor{.shape = shape};
    std::int64_t next = 0;
    TensorFile::for_each_piece(tensor, [&](const TensorFile::Piece& piece) {
      EXPECT_EQ(piece.first, next) << to_string(shape);
      EXPECT_EQ(piece.count, element_count(piece.extent)) << to_string(shape);
      EXPECT_LE(piece.count, 1 << 20) << to_string(shape);
      std::int64_t flat = 0;  // where the box begins
      for (std::size_t axis = 0; axis < shape.size(); ++axis) {
        EXPECT_LE(piece.start[axis] + piece.extent[axis], shape[axis]) << to_string(shape);
        flat = flat * shape[axis] + piece.start[axis];
      }
      EXPECT_EQ(flat, piece.first) << to_string(shape);
      next += piece.count;
    });
    EXPECT_EQ(next, element_count(shape)) << to_string(shape);
  }
}

std::string large_text() {
  return std::string(3 << 20, 'x');
}

/// What children do, by name.
const std::map<std::string, int (*)(const Print&)> kPrintings = {
    {"print",
     [](const Print& show) {
       show("δ\x1b[31m\n");
       show("");
       show(large_text());
       return 42;
     }},
    {"fail", [](const Print&) -> int { throw UserError(ExitCode::bad_data, "bad \x1b[31m name"); }},
    {"compute on",
     [](const Print&) {
       const std::atomic<bool> goes_on{true};
       while (goes_on) {
       }
       return 0;
     }},
    {"take memory", [](const Print&) { return static_cast<int>(std::vector<char>(std::size_t{4} << 30).size()); }},
};

int print_something(ByteReader& request, const Print& show) {
  return kPrintings.at(request.text())(show);
}

int result_of(const std::string& printing, const Print& print) {
  return print_in_child(
      {"file.h5"}, testing::kPrintSomething, [&](ByteWriter& request) { request.text(printing); }, print);
}

TEST(PrintInChild, BringsTextBackInSafeCharacters) {
  std::string text;
  EXPECT_EQ(result_of("print", [&](std::string_view piece) { text += piece; }), 42);
  EXPECT_EQ(text, "δ\\x1b[31m\n" + large_text());
}

TEST(PrintInChild, BoundsTheChild) {
  const auto error = [](const std::string& printing) {
    return user_error_of([&] { result_of(printing, [](std::string_view) {}); });
  };
  EXPECT_EQ(error("fail"), "65 error: bad \\x1b[31m name");
#if !BP_ADDRESS_SANITIZER && !BP_THREAD_SANITIZER  // which take memory and time of their own
  EXPECT_EQ(error("compute on"), "65 file.h5: error: reading it takes more than 2 s of computing: the file is damaged");
  EXPECT_EQ(error("take memory"), "65 file.h5: error: reading it takes more memory than the limit");
#endif
}

}  // namespace

const ChildJob testing::kPrintSomething = printing_job<print_something>("test-print-something");

}  // namespace backplane
