#include "recorder/trace_file.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "hdf5/checked_read.h"
#include "support/model.h"

namespace backplane {
namespace {

namespace fs = std::filesystem;
using testing::read_bytes;
using testing::TemporaryFolder;
using testing::user_error_of;

using Begin = TraceFile::Begin;

/// A trace that is written to a temporary file.
struct TraceIn : TraceFile {
  TraceIn(const TemporaryFile& file, const TraceLayout& layout, Compression compression, Begin begin = Begin::anew)
      : TraceFile(file.path(), file.name_for_libraries(), layout, compression, begin) {}
};

enum Series : std::size_t { kTensors, kNone, kNumbers, kSkipped };

/// Tensors in chunks of their own and in shared ones, of every type; numbers; a series that the file has not, and one
/// of steps alone.
TraceLayout make_layout() {
  const auto tensor = [](const char* path, Shape shape, std::vector<std::string> axes, TraceType element) {
    return TraceTensor{
        .path = path, .shape = std::move(shape), .axes = std::move(axes), .element = element, .attributes = {}};
  };
  TraceLayout layout{.layer_names = {"hidden", "out"}, .series = {}, .scales = {}};
  layout.series = {
      {.step_path = "/scales/step",
       .tensors = {tensor("/layers/hidden/delta", {40, 3}, {"sample", "unit"}, TraceType::float32),
                   tensor("/layers/hidden/z", {40, 3}, {"sample", "unit"}, TraceType::float16),
                   tensor("/layers/out/weights/W", {3, 5}, {"unit", "input"}, TraceType::float64),
                   tensor("/scales/sample", {3}, {"sample"}, TraceType::int64)},
       .plot = ""},
      {},
      {.step_path = "/curves/step", .tensors = {tensor("/curves/loss", {}, {}, TraceType::float64)}, .plot = "loss"},
      {.step_path = "/scales/skipped", .tensors = {}, .plot = ""}};
  layout.scales = {{.path = "/scales/unit_3", .axis = "unit", .values = {0, 1, 2}}};
  return layout;
}

const TraceLayout& layout() {
  static const TraceLayout kLayout = make_layout();
  return kLayout;
}

/// Of a tensor, as every type of it holds exactly.
double element(std::int64_t step, std::size_t tensor, std::int64_t index) {
  return static_cast<double>((step * 613 + static_cast<std::int64_t>(tensor) * 71 + index * 7) % 2048);
}

void store(Buffer& to, TraceType element, std::int64_t index, double value) {
  const auto i = static_cast<std::size_t>(index);
  switch (element) {
    case TraceType::float16: to.as<_Float16>()[i] = static_cast<_Float16>(value); break;
    case TraceType::float32: to.as<float>()[i] = static_cast<float>(value); break;
    case TraceType::float64: to.as<double>()[i] = value; break;
    case TraceType::int64: to.as<std::int64_t>()[i] = static_cast<std::int64_t>(value); break;
  }
}

TraceRecord record_of(const TraceSeries& series, std::int64_t step) {
  TraceRecord record{.step = step, .tensors = {}};
  for (std::size_t t = 0; t < series.tensors.size(); ++t) {
    const TraceTensor& tensor = series.tensors[t];
    const std::int64_t count = element_count(tensor.shape);
    Buffer buffer(static_cast<std::size_t>(count) * size_of(tensor.element));
    for (std::int64_t i = 0; i < count; ++i) store(buffer, tensor.element, i, element(step, t, i));
    record.tensors.push_back(std::move(buffer));
  }
  return record;
}

void append(TraceFile& trace, std::size_t series, const std::vector<std::int64_t>& steps) {
  for (const std::int64_t step : steps) trace.append(series, record_of(layout().series[series], step));
}

using Steps = std::map<std::string, std::vector<std::int64_t>>;  ///< of each series, by the path of its steps

/// The complete records of a file, each looked at element by element.
Steps whole_records(const std::string& path) {
  const h5::OpenedHdf5 file = h5::open_file(path);
  Steps found;
  for (const TraceSeries& series : layout().series) {
    if (series.step_path.empty()) continue;
    const std::vector<std::int64_t>& steps = found[series.step_path] =
        h5::read_array<std::int64_t>(file.handle.id(), series.step_path);
    for (std::size_t t = 0; t < series.tensors.size(); ++t) {
      const std::vector<double> values = h5::read_array<double>(file.handle.id(), series.tensors[t].path);
      const std::int64_t count = element_count(series.tensors[t].shape);
      EXPECT_GE(std::ssize(values), std::ssize(steps) * count) << series.tensors[t].path;
      for (std::size_t record = 0; record < steps.size(); ++record)
        for (std::int64_t i = 0; i < count; ++i)
          if (const double value = values.at(record * static_cast<std::size_t>(count) + static_cast<std::size_t>(i)),
              want = element(steps[record], t, i);
              value != want) {
            ADD_FAILURE() << series.tensors[t].path << " at step " << steps[record] << ", element " << i << ": "
                          << value << ", not " << want;
            return found;
          }
    }
  }
  return found;
}

std::vector<std::int64_t> every(std::int64_t stride, std::int64_t last) {
  std::vector<std::int64_t> steps;
  for (std::int64_t step = stride; step <= last; step += stride) steps.push_back(step);
  return steps;
}

std::int64_t made_infinite(const std::string& path, const std::string& tensor) {
  const h5::OpenedHdf5 file = h5::open_file(path);
  return h5::read_integer_attribute(h5::open_dataset(file.handle.id(), tensor).id(), "made_infinite");
}

class TraceFileWith : public ::testing::TestWithParam<Compression> {
 protected:
  /// What its writer would leave behind if it were killed now.
  std::string as_it_stands(const std::string& path) {
    const std::string copy = folder_.path("as-it-stands.h5");
    fs::copy_file(path, copy, fs::copy_options::overwrite_existing);
    return copy;
  }
  std::string path() const { return folder_.path("trace.h5"); }

  TemporaryFolder folder_{"trace-file"};
};
INSTANTIATE_TEST_SUITE_P(Compressions, TraceFileWith, ::testing::Values(Compression::none, Compression::gzip),
                         [](const auto& test) { return test.param == Compression::gzip ? "Gzip" : "None"; });

TEST_P(TraceFileWith, HoldsEachSeriesAsItWasGiven) {
  const std::vector<std::int64_t> points = every(1, 1100);  // of numbers, 512 share a chunk
  {
    TemporaryFile made(path());
    TraceIn trace(made, layout(), GetParam());
    append(trace, kTensors, {1, 4, 9});
    trace.let_readers_in(made, path());
    append(trace, kNumbers, points);
    append(trace, kSkipped, {2, 3});
    append(trace, kTensors, {16});
  }
  EXPECT_EQ(whole_records(path()),
            (Steps{{"/scales/step", {1, 4, 9, 16}}, {"/curves/step", points}, {"/scales/skipped", {2, 3}}}));
  const h5::OpenedHdf5 file = h5::open_file(path());
  EXPECT_FALSE(file.is_being_written);
  EXPECT_EQ(h5::read_text_attribute(file.handle.id(), "format"), "backplane-trace");
  EXPECT_EQ(h5::read_names(file.handle.id(), "/layer_names"), layout().layer_names);
  for (const TraceTensor& tensor : layout().series[kTensors].tensors) {
    const h5::Handle dataset = h5::open_dataset(file.handle.id(), tensor.path);
    const h5::Handle type(H5Dget_type(dataset.id()), H5Tclose, "get a type"), want = file_type(tensor.element);
    const h5::Handle stored(H5Dget_create_plist(dataset.id()), H5Pclose, "get properties");
    const bool has_own_chunk = tensor.path != "/scales/sample";
    EXPECT_GT(H5Tequal(type.id(), want.id()), 0) << tensor.path;
    EXPECT_EQ(H5Pget_nfilters(stored.id()), !has_own_chunk ? 0 : GetParam() == Compression::gzip ? 3 : 1);
  }
}

TEST_P(TraceFileWith, ShowsReadersWholeRecordsOnly) {
  TemporaryFile made(path());
  TraceIn trace(made, layout(), GetParam());
  std::ofstream(path()) << "an earlier trace";
  append(trace, kTensors, {1});
  EXPECT_EQ(read_bytes(path()), "an earlier trace");
  trace.let_readers_in(made, path());
  EXPECT_FALSE(fs::exists(made.path()));
  for (std::int64_t step = 2; step < 6; ++step) {
    append(trace, kTensors, {step});
    const std::string now = as_it_stands(path());
    EXPECT_TRUE(h5::open_file(now).is_being_written);
    EXPECT_EQ(whole_records(now).at("/scales/step"), every(1, step));
  }
  TraceRecord cut_short = record_of(layout().series[kTensors], 6);
  cut_short.tensors[3] = Buffer();  // HDF5 refuses it when the tensors before it have been written
  EXPECT_EQ(user_error_of([&] {
              trace.append(kTensors, cut_short);
            }).find("74 error: " + path() + ": cannot be written\n  hint: is the disk full? "),
            0u);
  EXPECT_EQ(whole_records(as_it_stands(path())).at("/scales/step"), every(1, 5));
  append(trace, kTensors, {7});
  EXPECT_EQ(whole_records(as_it_stands(path())).at("/scales/step"), (std::vector<std::int64_t>{1, 2, 3, 4, 5, 7}));
}

TEST_P(TraceFileWith, GoesOnAfterAKill) {
  std::string killed;
  {
    TemporaryFile made(path());
    TraceIn trace(made, layout(), GetParam());
    trace.let_readers_in(made, path());
    append(trace, kTensors, every(2, 20));
    append(trace, kNumbers, every(1, 20));
    append(trace, kSkipped, {19});
    TraceRecord cut_short = record_of(layout().series[kTensors], 22);
    cut_short.tensors[3] = Buffer();
    EXPECT_THROW(trace.append(kTensors, cut_short), UserError);
    killed = as_it_stands(path());
  }
  TemporaryFile made(path());
  EXPECT_EQ(TraceIn(made, layout(), GetParam()).copy_records(killed, 13), (std::vector<std::int64_t>{12, 0, 13, 0}));
  {
    TraceIn trace(made, layout(), GetParam(), Begin::go_on);
    trace.let_readers_in(made, path());
    append(trace, kTensors, {14, 16});
    append(trace, kNumbers, {14});
    append(trace, kSkipped, {15});
    EXPECT_EQ(whole_records(as_it_stands(path())).at("/scales/step"), every(2, 16));
  }
  EXPECT_EQ(whole_records(path()),
            (Steps{{"/scales/step", every(2, 16)}, {"/curves/step", every(1, 14)}, {"/scales/skipped", {15}}}));
}

TEST_P(TraceFileWith, CopiesAllRecordsOrNone) {
  {
    TemporaryFile made(path());
    TraceIn trace(made, layout(), GetParam());
    append(trace, kTensors, {3, 6});
    trace.let_readers_in(made, path());
  }
  TemporaryFile made(folder_.path("copy.h5"));
  EXPECT_EQ(TraceIn(made, layout(), GetParam()).copy_records(path(), 100), (std::vector<std::int64_t>{6, 0, 0, 0}));
  EXPECT_EQ(whole_records(made.path()).at("/scales/step"), (std::vector<std::int64_t>{3, 6}));
  // Begun anew, what the file held is dropped.
  EXPECT_EQ(TraceIn(made, layout(), GetParam()).copy_records(path(), 2), (std::vector<std::int64_t>{0, 0, 0, 0}));
  EXPECT_EQ(whole_records(made.path()).at("/scales/step"), std::vector<std::int64_t>{});
}

TEST_P(TraceFileWith, GoesOnWithNoOtherTrace) {
  const auto internal_error_of = [](const auto& action) -> std::string {
    try {
      action();
    } catch (const InternalError& error) {
      return error.what();
    }
    return "none";
  };
  const std::string other = "it records other tensors, or stores them otherwise";
  TemporaryFile made(path());
  TraceIn(made, layout(), GetParam());

  TraceLayout wider = layout();
  wider.series[kTensors].tensors[1].shape = {40, 4};
  const Compression otherwise = GetParam() == Compression::gzip ? Compression::none : Compression::gzip;
  EXPECT_EQ(internal_error_of([&] { TraceIn(made, wider, GetParam(), Begin::go_on); }), other);
  EXPECT_EQ(internal_error_of([&] { TraceIn(made, layout(), otherwise, Begin::go_on); }), other);
  TemporaryFile copy(folder_.path("copy.h5"));
  EXPECT_EQ(internal_error_of([&] { TraceIn(copy, wider, GetParam()).copy_records(made.path(), 1); }), other);
  EXPECT_EQ(internal_error_of([&] { TraceIn(copy, layout(), otherwise).copy_records(made.path(), 1); }), other);
}

TEST_P(TraceFileWith, CountsWhatRoundingMadeInfinite) {
  const std::string narrow = "/layers/hidden/z", wide = "/layers/out/weights/W";
  const auto with_infinite = [](std::int64_t step, std::vector<std::int64_t> counts) {
    TraceRecord record = record_of(layout().series[kTensors], step);
    record.made_infinite = std::move(counts);
    return record;
  };
  {
    TemporaryFile made(path());
    TraceIn trace(made, layout(), GetParam());
    trace.let_readers_in(made, path());
    append(trace, kTensors, {1});
    trace.append(kTensors, with_infinite(2, {0, 2, 0, 0}));
    trace.append(kTensors, with_infinite(3, {0, 5, 0, 0}));
  }
  EXPECT_EQ(made_infinite(path(), "/layers/hidden/delta"), 0);
  EXPECT_EQ(made_infinite(path(), narrow), 7);
  EXPECT_LE(H5Aexists(h5::open_dataset(h5::open_file(path()).handle.id(), wide).id(), "made_infinite"), 0)
      << "nothing is rounded to float64";
  TemporaryFile made(folder_.path("copy.h5"));
  TraceIn(made, layout(), GetParam()).copy_records(path(), 2);
  TraceIn(made, layout(), GetParam(), Begin::go_on).append(kTensors, with_infinite(3, {0, 10, 0, 0}));
  EXPECT_EQ(made_infinite(made.path(), narrow), 17);
}

/// What `from` becomes, and how many of it rounding made infinite.
template <class To, class From>
std::pair<To, std::int64_t> rounded(From from, TraceType to) {
  To result{};
  const std::int64_t count = convert(&from, dtype_of<From>(), &result, to, 1);
  return {result, count};
}

TEST(TraceType, RoundsToNearestAndCountsWhatBecomesInfinite) {
  using Half = std::pair<_Float16, std::int64_t>;
  using Single = std::pair<float, std::int64_t>;
  const auto half = [](auto from) { return rounded<_Float16>(from, TraceType::float16); };
  const auto single = [](double from) { return rounded<float>(from, TraceType::float32); };
  constexpr auto kHalfInfinity = static_cast<_Float16>(INFINITY);
  EXPECT_EQ(half(1.0f + 0x1p-11f), Half(1, 0));                                            // a tie goes to even
  EXPECT_EQ(half(1.0 + 0x1p-11 + 0x1p-50), Half(static_cast<_Float16>(1.0009765625), 0));  // in one rounding
  EXPECT_EQ(half(std::nextafter(65520.0, 0.0)), Half(static_cast<_Float16>(65504), 0));
  EXPECT_EQ(half(65520.0), Half(kHalfInfinity, 1));
  EXPECT_EQ(half(-65520.0f), Half(-kHalfInfinity, 1));
  EXPECT_EQ(half(INFINITY), Half(kHalfInfinity, 0));
  EXPECT_TRUE(std::isnan(static_cast<float>(half(NAN).first)));
  EXPECT_EQ(half(NAN).second, 0);
  EXPECT_EQ(half(0x1p-24), Half(static_cast<_Float16>(0x1p-24), 0));  // subnormal

  constexpr double kBeyond = 0x1.ffffffp127;  // half a unit in the last place beyond the largest float
  EXPECT_EQ(single(0.1), Single(0.1f, 0));
  EXPECT_EQ(single(std::nextafter(kBeyond, 0.0)), Single(std::numeric_limits<float>::max(), 0));
  EXPECT_EQ(single(-kBeyond), Single(-INFINITY, 1));
  EXPECT_EQ(single(-INFINITY), Single(-INFINITY, 0));
  EXPECT_EQ(rounded<float>(3e38f, TraceType::float32), Single(3e38f, 0));
  EXPECT_EQ(rounded<double>(-0.1, TraceType::float64), std::pair(-0.1, std::int64_t{0}));
}

}  // namespace
}  // namespace backplane
