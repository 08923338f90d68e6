#include "cli/named_outputs.h"

#include <fmt/format.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/output.h"
#include "run/run_directory.h"

namespace backplane::cli {

void settle_outputs(const std::vector<NamedFile>& outputs, const std::vector<NamedFile>& inputs) {
  require_apart(outputs, inputs);
  for (const NamedFile& output : outputs) {
    if (output.path.empty()) continue;
    if (RunDirectory::is_file_of_run(output.path))
      throw UserError(ExitCode::usage, fmt::format("{}: this is a file of a run", output.path),
                      fmt::format("name another file with {}", output.word));
    if (leads_to_stream(output.path, STDERR_FILENO))
      throw UserError(ExitCode::usage, fmt::format("{}: messages go there as well (stderr)", output.path),
                      fmt::format("name another file with {}, or send stderr elsewhere: 2>messages", output.word));
    if (leads_to_stream(output.path, STDOUT_FILENO)) send_results_to_stderr();
  }
}

std::optional<Output> output_of(const std::string& path) {
  return path.empty() ? std::nullopt : std::optional<Output>(path);
}

}  // namespace backplane::cli
