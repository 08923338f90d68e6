#include "inspect/diff.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "inspect/compare.h"
#include "inspect/metrics_diff.h"
#include "inspect/target.h"
#include "sandbox/fields.h"

namespace backplane {

template <class Way>
void fields(Way& way, DiffRequest& request) {
  way(request.a, request.b, request.tolerance_ulps);
}

namespace {

// In the children.

constexpr TensorFile::Part kParts[] = {TensorFile::Part::tensors, TensorFile::Part::statistics,
                                       TensorFile::Part::curves};

/// The other parts of two traces, where one of them has any.
bool compare_other_parts(const DiffRequest& request, const Print& show) {
  bool is_equal = true;
  for (const auto& [part, name] :
       {std::pair{TensorFile::Part::statistics, "statistics"}, std::pair{TensorFile::Part::curves, "curves"}}) {
    const TensorFile part_a(request.a, part), part_b(request.b, part);
    if (part_a.layers().empty() && part_b.layers().empty()) continue;
    show(fmt::format("{}: ", name));
    if (!compare_files(part_a, part_b, request.tolerance_ulps, show)) is_equal = false;
  }
  return is_equal;
}

/// What the child says of two files.
enum { equal = 1, unvouched_a = 2, unvouched_b = 4 };

int print_difference(ByteReader& asked, const Print& show) {
  const auto request = read_fields<DiffRequest>(asked);
  const OpenedTarget a = open_target(request.a), b = open_target(request.b);
  bool is_equal = compare_files(a.file, b.file, request.tolerance_ulps, show);
  if (a.file.is_trace() && !compare_other_parts(request, show)) is_equal = false;
  return (is_equal ? equal : 0) | (a.is_vouched_for ? 0 : unvouched_a) | (b.is_vouched_for ? 0 : unvouched_b);
}

int print_difference_of_metrics(ByteReader& asked, const Print& show) {
  const auto request = read_fields<DiffRequest>(asked);
  return compare_metrics(request.a, request.b, show);
}

/// Reads everything that a comparison reads of one file.
void read_alone(ByteReader& asked, ByteWriter&) {
  const std::string path = asked.text();
  for (const auto part : kParts) {
    const TensorFile file(path, part);
    for (const FileLayer& layer : file.layers())
      for (const FileTensor& tensor : layer.tensors)
        for (std::size_t record = 0; record < file.steps().size(); ++record)
          TensorFile::for_each_piece(tensor, [&](const auto& piece) { file.read(tensor, record, piece); });
    if (!file.is_trace()) break;
  }
}

}  // namespace

const ChildJob kCompareFiles = printing_job<print_difference>("compare-files");
const ChildJob kCompareMetrics = printing_job<print_difference_of_metrics>("compare-metrics");
const ChildJob kReadAlone = reading_job<read_alone>("read-alone");

namespace {

int ask_for(const ChildJob& job, const DiffRequest& request, const Print& print) {
  return print_in_child(
      {request.a, request.b}, job, [&](ByteWriter& asked) { write_fields(asked, request); }, print);
}

bool diff_files(const DiffRequest& request, const Print& print, const Print& warn) {
  try {
    const int found = ask_for(kCompareFiles, request, print);
    if (found & unvouched_a) warn(unvouched(request.a));
    if (found & unvouched_b) warn(unvouched(request.b));
    return found & equal;
  } catch (const UserError& error) {
    // Where the child crashed, nothing says on which of them: whoever does so alone.
    if (error.diagnostics().front().place.source.find(" or ") != std::string::npos)
      for (const std::string& path : {request.a, request.b})
        look_in_child(
            {path}, kReadAlone, [&](ByteWriter& asked) { asked.text(path); }, [](ByteReader&) {});
    throw;
  }
}

bool diff_runs(const Target& a, const Target& b, const DiffRequest& request, const Print& print, const Print& warn) {
  bool is_equal = true;
  int compared = 0;
  const auto compare = [&](const std::string& title, const auto& part) {
    print(fmt::format("{}{}\n", compared++ == 0 ? "" : "\n", title));
    if (!part()) is_equal = false;
  };
  const auto say_alone = [&](const std::string& what, const Target& run) {
    warn(fmt::format("only {} has {}: not compared", run.path, what));
  };
  if (a.metrics && b.metrics)
    compare("metrics.jsonl", [&] { return ask_for(kCompareMetrics, {*a.metrics, *b.metrics, {}}, print) != 0; });
  else if (a.metrics || b.metrics)
    say_alone("metrics", a.metrics ? a : b);
  if (a.trace && b.trace)
    compare("trace.h5", [&] { return diff_files({*a.trace, *b.trace, request.tolerance_ulps}, print, warn); });
  else if (a.trace || b.trace)
    say_alone("a trace", a.trace ? a : b);
  const auto common = std::find_if(a.checkpoints.rbegin(), a.checkpoints.rend(), [&](const RunCheckpoint& each) {
    return std::ranges::find(b.checkpoints, each.step, &RunCheckpoint::step) != b.checkpoints.end();
  });
  if (common != a.checkpoints.rend()) {
    const std::string& other = std::ranges::find(b.checkpoints, common->step, &RunCheckpoint::step)->path;
    compare(fmt::format("checkpoints of step {}, the newest that both have", common->step), [&] {
      return diff_files({common->path, other, request.tolerance_ulps}, print, warn);
    });
  } else {
    warn("the runs have no checkpoint of the same step");
  }
  if (compared == 0)
    throw UserError(ExitCode::no_input, fmt::format("{} and {} have nothing that could be compared", a.path, b.path),
                    "metrics, a trace, or checkpoints of a common step");
  return is_equal;
}

}  // namespace

bool diff(const DiffRequest& request, const Print& print, const Print& warn) {
  const Target a = find_target(request.a), b = find_target(request.b);
  if (a.is_run != b.is_run)
    throw UserError(
        ExitCode::bad_data,
        fmt::format("{} is a {}, {} a {}", a.path, a.is_run ? "run" : "file", b.path, b.is_run ? "run" : "file"),
        "compare two checkpoints, two traces or two runs");
  for (const Target& run : {a, b})
    if (!run.unlisted.empty()) warn(run.unlisted + "; name two to compare them");
  return a.is_run ? diff_runs(a, b, request, print, warn) : diff_files(request, print, warn);
}

}  // namespace backplane
