#include "inspect/diff.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "inspect/compare.h"
#include "inspect/metrics_diff.h"
#include "inspect/target.h"

namespace backplane {

namespace {

constexpr TensorFile::Part kParts[] = {TensorFile::Part::tensors, TensorFile::Part::statistics,
                                       TensorFile::Part::curves};

/// The other parts of two traces, where one of them has any.
bool compare_other_parts(const std::string& a, const std::string& b, const DiffRequest& request, const Print& show) {
  bool is_equal = true;
  for (const auto& [part, name] :
       {std::pair{TensorFile::Part::statistics, "statistics"}, std::pair{TensorFile::Part::curves, "curves"}}) {
    const TensorFile part_a(a, part), part_b(b, part);
    if (part_a.layers().empty() && part_b.layers().empty()) continue;
    show(fmt::format("{}: ", name));
    if (!compare_files(part_a, part_b, request.tolerance_ulps, show)) is_equal = false;
  }
  return is_equal;
}

/// Reads everything that a comparison reads of one file.
void read_alone(const std::string& path) {
  const auto job = [&](const Print&) {
    for (const auto part : kParts) {
      const TensorFile file(path, part);
      for (const FileLayer& layer : file.layers())
        for (const FileTensor& tensor : layer.tensors)
          for (std::size_t record = 0; record < file.steps().size(); ++record)
            TensorFile::for_each_piece(tensor, [&](const auto& piece) { file.read(tensor, record, piece); });
      if (!file.is_trace()) break;
    }
    return 0;
  };
  print_in_child({path}, job, [](std::string_view) {});
}

bool diff_files(const std::string& a, const std::string& b, const DiffRequest& request, const Print& print,
                const Print& warn) {
  enum { equal = 1, unvouched_a = 2, unvouched_b = 4 };
  const auto job = [&](const Print& show) -> int {
    const OpenedTarget opened_a = open_target(a), opened_b = open_target(b);
    bool is_equal = compare_files(opened_a.file, opened_b.file, request.tolerance_ulps, show);
    if (opened_a.file.is_trace() && !compare_other_parts(a, b, request, show)) is_equal = false;
    return (is_equal ? equal : 0) | (opened_a.is_vouched_for ? 0 : unvouched_a) |
           (opened_b.is_vouched_for ? 0 : unvouched_b);
  };
  try {
    const int found = print_in_child({a, b}, job, print);
    if (found & unvouched_a) warn(unvouched(a));
    if (found & unvouched_b) warn(unvouched(b));
    return found & equal;
  } catch (const UserError& error) {
    // Where the child crashed, nothing says on which of them: whoever does so alone.
    if (error.diagnostics().front().place.source.find(" or ") != std::string::npos)
      for (const std::string& path : {a, b}) read_alone(path);
    throw;
  }
}

bool diff_metrics(const std::string& a, const std::string& b, const Print& print) {
  const auto job = [&](const Print& show) -> int { return compare_metrics(a, b, show); };
  return print_in_child({a, b}, job, print) != 0;
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
    compare("metrics.jsonl", [&] { return diff_metrics(*a.metrics, *b.metrics, print); });
  else if (a.metrics || b.metrics)
    say_alone("metrics", a.metrics ? a : b);
  if (a.trace && b.trace)
    compare("trace.h5", [&] { return diff_files(*a.trace, *b.trace, request, print, warn); });
  else if (a.trace || b.trace)
    say_alone("a trace", a.trace ? a : b);
  const auto common = std::find_if(a.checkpoints.rbegin(), a.checkpoints.rend(), [&](const RunCheckpoint& each) {
    return std::ranges::find(b.checkpoints, each.step, &RunCheckpoint::step) != b.checkpoints.end();
  });
  if (common != a.checkpoints.rend()) {
    const std::string& other = std::ranges::find(b.checkpoints, common->step, &RunCheckpoint::step)->path;
    compare(fmt::format("checkpoints of step {}, the newest that both have", common->step),
            [&] { return diff_files(common->path, other, request, print, warn); });
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
  return a.is_run ? diff_runs(a, b, request, print, warn) : diff_files(a.path, b.path, request, print, warn);
}

}  // namespace backplane
