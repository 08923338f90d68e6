#include "inspect/inspect.h"

#include <fmt/format.h>

#include <chrono>
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

/// Returns whether a manifest vouches for the file.
int print_file(ByteReader& asked, const Print& show) {
  const auto request = read_fields<InspectRequest>(asked);
  const std::string& path = request.path;
  const auto [file, is_vouched_for] = open_target(path);
  const auto part = [&](TensorFile::Part which) { return TensorFile(path, which); };
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
  return is_vouched_for;
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
const ChildJob kInspectSummary = printing_job<print_summary>("inspect-summary");

namespace {

int ask_for(const ChildJob& job, const std::string& path, InspectRequest request, const Print& print) {
  request.path = path;
  return print_in_child(
      {path}, job, [&](ByteWriter& asked) { write_fields(asked, request); }, print);
}

void inspect_file(const std::string& path, const InspectRequest& request, const Print& print, const Print& warn) {
  if (ask_for(kInspectFile, path, request, print) == 0) warn(unvouched(path));
}

/// A run that goes on may replace its newest checkpoint while that is looked at: then the next one is.
template <class Look>
void look_at_newest(Target run, const Look& look) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point end = Clock::now() + std::chrono::seconds(10);
  while (true) try {
      return look(run.checkpoints.back().path, run.checkpoints.size());
    } catch (const UserError&) {  // before anything was printed of it
      Target now = find_target(run.path);
      if (Clock::now() > end || now.checkpoints.empty() || now.checkpoints.back().path == run.checkpoints.back().path)
        throw;
      run = std::move(now);
    }
}

void inspect_run(const Target& run, const InspectRequest& request, const Print& print, const Print& warn) {
  if (!run.unlisted.empty()) warn(run.unlisted + "; name one to look into it");
  if (!request.selection.tensor.empty()) {
    const bool wants_trace = request.selection.step.has_value() || run.checkpoints.empty();
    if (wants_trace && !run.trace)
      throw UserError(ExitCode::no_input, run.path + ": the run has no trace", "record: {every: …} makes one");
    if (wants_trace) return inspect_file(*run.trace, request, print, warn);
    return look_at_newest(run, [&](const std::string& path, std::size_t) { inspect_file(path, request, print, warn); });
  }
  const auto head = [&](const char* name, const std::string& title, bool is_first) {
    if (request.json)
      print(fmt::format("{}\"{}\": ", is_first ? "" : ", ", name));
    else
      print(fmt::format("{}{}\n", is_first ? "" : "\n", printable(title)));
  };
  bool is_first = true;
  if (request.json) print("{");
  if (!run.checkpoints.empty())
    look_at_newest(run, [&](const std::string& newest, std::size_t count) {
      const auto print_below_head = [&](std::string_view text) {
        if (is_first) head("checkpoint", fmt::format("{}, the newest of {}", newest, count), true);
        is_first = false;
        print(text);
      };
      inspect_file(newest, request, print_below_head, warn);
    });
  if (run.trace) {
    head("trace", *run.trace, is_first);
    inspect_file(*run.trace, request, print, warn);
    is_first = false;
  }
  if (run.summary) {
    head("summary", *run.summary, is_first);
    ask_for(kInspectSummary, *run.summary, request, print);
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
