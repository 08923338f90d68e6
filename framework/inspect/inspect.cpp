#include "inspect/inspect.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/printable.h"
#include "base/system_error.h"
#include "files/json.h"
#include "files/open_file.h"
#include "inspect/as_json.h"
#include "inspect/overview.h"
#include "sandbox/fields.h"

namespace backplane {

using Json = nlohmann::ordered_json;

template <class Way>
void fields(Way& way, Selection& selection) {
  way(selection.layer, selection.tensor, selection.sample, selection.step);
}
template <class Way>
void fields(Way& way, InspectRequest& request) {
  way(request.path, request.selection, request.all, request.json);
}

namespace {

// In the children.

void print_contents(const TensorFile& file, const InspectRequest& request, const Print& show) {
  const auto part = [&](TensorFile::Part which) { return TensorFile(file.path(), which); };
  const bool wants_parts = file.is_trace() && request.selection.tensor.empty();
  if (wants_parts && !request.selection.layer.empty())
    require_layer(file, part(TensorFile::Part::statistics), request.selection.layer);
  if (request.json && request.selection.tensor.empty()) {
    Json overview = overview_as_json(file, request.selection.layer);
    if (wants_parts) {
      overview["statistics"] = numbers_as_json(part(TensorFile::Part::statistics), request.selection.layer);
      overview["curves"] = numbers_as_json(part(TensorFile::Part::curves), "");
    }
    show(to_text(overview));
  } else if (request.json) {
    show(to_text(values_as_json(file, request.selection)));
  } else if (request.selection.tensor.empty()) {
    print_overview(file, request.selection.layer, request.all, show);
    if (wants_parts)
      print_recorded_statistics(part(TensorFile::Part::statistics), request.selection.layer, request.all, show);
  } else {
    print_values(file, request.selection, request.all, show);
  }
}

/// Returns whether a manifest vouches for the file.
int print_file(ByteReader& asked, const Print& show) {
  const auto request = read_fields<InspectRequest>(asked);
  const OpenedTarget opened = open_target(request.path);
  print_contents(opened.file, request, show);
  return opened.is_vouched_for;
}

/// What stands before one of the things that a run holds.
std::string head(const InspectRequest& request, const char* name, const std::string& title, bool is_first) {
  if (request.json) return fmt::format("{}\"{}\": ", is_first ? "" : ", ", name);
  return fmt::format("{}{}\n", is_first ? "" : "\n", printable(title));
}

/// A run that goes on may replace its newest checkpoint between a look at the manifest and one at the file: then the
/// next one is.
std::pair<OpenedTarget, Target> open_newest(const std::string& path) {
  constexpr int kMostTries = 100;
  Target run = find_target(path);
  for (int tries = 1;; ++tries) try {
      return {open_target(run.checkpoints.back().path), run};
    } catch (const UserError&) {
      const std::string gone = run.checkpoints.back().path;
      run = find_target(path);
      if (tries == kMostTries || run.checkpoints.empty() || run.checkpoints.back().path == gone) throw;
    }
}

/// Of the run at request.path. Its manifest vouches for what it lists.
int print_newest(ByteReader& asked, const Print& show) {
  const auto request = read_fields<InspectRequest>(asked);
  const auto [opened, run] = open_newest(request.path);
  if (request.selection.tensor.empty())
    show(head(request, "checkpoint", fmt::format("{}, the newest of {}", opened.file.path(), run.checkpoints.size()),
              true));
  print_contents(opened.file, request, show);
  return 0;
}

/// summary.json as one line per figure, or as it is.
std::string summary_text(const std::string& path, bool as_json) {
  constexpr std::size_t kLargest = 1 << 20;
  const OpenedFile file = open_regular(path);
  if (!file) throw UserError(file.code(), fmt::format("{}: {}", path, file.why), remedy_of(file.error));
  const Json summary = parse_json<Json>(read_all(file.file, path, kLargest));
  if (!summary.is_object()) throw UserError(ExitCode::bad_data, path + ": is no JSON object");
  if (as_json) return to_text(summary);
  std::string lines;
  for (const auto& [name, value] : summary.items()) lines += fmt::format("  {}: {}\n", name, value.dump());
  return lines;
}

int print_summary(ByteReader& asked, const Print& show) {
  const auto request = read_fields<InspectRequest>(asked);
  show(summary_text(request.path, request.json));
  return 0;
}

}  // namespace

const ChildJob kInspectFile = printing_job<print_file>("inspect-file");
const ChildJob kInspectNewest = printing_job<print_newest>("inspect-newest");
const ChildJob kInspectSummary = printing_job<print_summary>("inspect-summary");

namespace {

InspectRequest about(const std::string& path, InspectRequest request) {
  request.path = path;
  return request;
}

/// `file`: by its size the child's limits are set.
int ask_for(const ChildJob& job, const std::string& file, const InspectRequest& request, const Print& print) {
  return print_in_child(
      {file}, job, [&](ByteWriter& asked) { write_fields(asked, request); }, print);
}

void inspect_file(const std::string& path, const InspectRequest& request, const Print& print, const Print& warn) {
  if (ask_for(kInspectFile, path, about(path, request), print) == 0) warn(unvouched(path));
}

void inspect_run(const Target& run, const InspectRequest& request, const Print& print, const Print& warn) {
  if (!run.unlisted.empty()) warn(run.unlisted + "; name one to look into it");
  if (!request.selection.tensor.empty()) {
    const bool wants_trace = request.selection.step.has_value() || run.checkpoints.empty();
    if (wants_trace && !run.trace)
      throw UserError(ExitCode::no_input, run.path + ": the run has no trace", "record: {every: …} makes one");
    if (wants_trace) return inspect_file(*run.trace, request, print, warn);
    ask_for(kInspectNewest, run.checkpoints.back().path, request, print);
    return;
  }
  if (request.json) print("{");
  bool is_first = run.checkpoints.empty();
  if (!is_first) ask_for(kInspectNewest, run.checkpoints.back().path, request, print);
  if (run.trace) {
    print(head(request, "trace", *run.trace, is_first));
    inspect_file(*run.trace, request, print, warn);
    is_first = false;
  }
  if (run.summary) {
    print(head(request, "summary", *run.summary, is_first));
    ask_for(kInspectSummary, *run.summary, about(*run.summary, request), print);
  }
  if (request.json) print("}\n");
}

}  // namespace

void inspect(const InspectRequest& request, const Print& print, const Print& warn) {
  const Target target = find_target(request.path);
  if (target.is_run)
    inspect_run(target, request, print, warn);
  else
    inspect_file(target.path, request, print, warn);
}

}  // namespace backplane
