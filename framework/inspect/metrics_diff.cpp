#include "inspect/metrics_diff.h"

#include <fmt/format.h>

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/printable.h"
#include "base/system_error.h"
#include "files/json.h"
#include "files/open_file.h"

namespace backplane {

namespace {

using Json = nlohmann::ordered_json;

/// The lines of one file that are promised, one after the other.
class Lines {
 public:
  explicit Lines(const std::string& path) : path_(path), file_(open(path)) {}

  /// None behind the last line. A line that its writer is still writing does not count.
  std::optional<Json> next() {
    std::string line;
    ++number_;
    if (!std::getline(file_, line) || file_.eof()) return std::nullopt;
    const Json all = parse_json<Json>(line);
    if (!all.is_object())
      throw UserError(ExitCode::bad_data,
                      Diagnostic{.place = {.source = path_, .line = number_}, .what = "this is no JSON object"});
    Json promised = Json::object();
    for (const auto& [name, value] : all.items())
      if (name != "samples_per_s") promised[name] = value;
    return promised;
  }

 private:
  static Descriptor open(const std::string& path) {
    OpenedFile opened = open_regular(path);
    if (!opened) throw UserError(opened.code(), fmt::format("{}: {}", path, opened.why), remedy_of(opened.error));
    return std::move(opened.file);
  }

  std::string path_;
  InputFile file_;
  int number_ = 0;
};

}  // namespace

bool compare_metrics(const std::string& a, const std::string& b, const Print& print) {
  Lines lines_a(a), lines_b(b);
  for (std::int64_t count = 0;; ++count) {
    const std::optional<Json> line_a = lines_a.next(), line_b = lines_b.next();
    if (!line_a && !line_b) {
      print(fmt::format("all {} lines are equal\n", count));
      return true;
    }
    if (line_a == line_b) continue;
    if (!line_a || !line_b) {
      print(fmt::format("{} ends after {} equal lines\n", printable(line_a ? b : a), count));
      return false;
    }
    const auto text = [](const Json& line) {
      return printable(line.dump(-1, ' ', true, Json::error_handler_t::replace));
    };
    print(
        fmt::format("line {} is the first that differs\n  A  {}\n  B  {}\n", count + 1, text(*line_a), text(*line_b)));
    return false;
  }
}

}  // namespace backplane
