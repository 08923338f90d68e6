#include <fmt/format.h>

#include <algorithm>

#include "cli/commands.h"
#include "cli/output.h"

namespace backplane::cli {

void print_warnings(const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings) say("warning: {}\n", warning);
}

std::string check_path(const std::string& word) {
  return word.empty() ? "a path is expected, and this word is empty" : "";
}

void ExperimentWords::add_to(CLI::App& command) {
  command.add_option("FILE", file, "the experiment's YAML")->required()->check(check_path);
  command.add_option("--set", overrides, "a.b=c: replace a value of the YAML; may be repeated")
      ->take_all()
      ->expected(1);
  command.add_option("--plugin", plugins, "load a plug-in file before searching; may be repeated")
      ->take_all()
      ->expected(1)
      ->check(check_path);
}

void ExperimentWords::add_weights_to(CLI::App& command) {
  CLI::Option* option = command.add_option(
      "--weights", weights, "begin with the weights of a file: safetensors, npz, or a checkpoint (network.init_from)");
  option->check(check_path);
  command.add_option("--rename", renames, "OLD=NEW: what a name of that file stands for; may be repeated")
      ->take_all()
      ->expected(1)
      ->needs(option);
}

std::vector<NamedFile> ExperimentWords::files() const {
  std::vector<NamedFile> named = all_named("--plugin", plugins);
  named.insert(named.end(), {{"FILE", file}, {"--weights", weights}});
  return named;
}

ExperimentRequest ExperimentWords::request(const Words& words) const {
  ExperimentRequest request{.file = file,
                            .overrides = overrides,
                            .override_words = {},
                            .plugins = plugins,
                            .weights = weights,
                            .renames = renames};
  auto from = words.begin();
  for (const std::string& override_ : overrides) {
    const auto found = std::find_if(
        from, words.end(), [&](const std::string& word) { return word == override_ || word == "--set=" + override_; });
    from = found == words.end() ? words.begin() : found + 1;
    const auto number = found - words.begin() + 1;
    request.override_words.push_back(fmt::format("command line, word {} (--set {})", number, override_));
  }
  return request;
}

}  // namespace backplane::cli
