#include "cli/usage.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <sstream>
#include <vector>

#include "base/error.h"
#include "base/suggest.h"

namespace backplane::cli {

namespace {

constexpr std::size_t kColumns = 80, kNames = 26;

/// What other programs call it.
const std::map<std::string, std::string> kSynonyms = {
    {"train", "run"},       {"fit", "run"},         {"start", "run"},     {"resume", "run"},
    {"compare", "diff"},    {"show", "inspect"},    {"view", "inspect"},  {"test", "check"},
    {"gradcheck", "check"}, {"benchmark", "bench"}, {"convert", "export"}};

/// Lines of at most `width` characters, broken at spaces.
std::string wrapped(const std::string& text, std::size_t width) {
  std::istringstream words(text);
  std::string lines, line;
  for (std::string word; words >> word;) {
    if (!line.empty() && line.size() + 1 + word.size() > width) {
      lines += line + "\n";
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
  }
  return lines + line;
}

/// "  run         train an experiment", with as many lines as it takes.
std::string entry(const std::string& name, const std::string& text) {
  std::string line = "  " + name;
  line += line.size() + 1 < kNames ? std::string(kNames - line.size(), ' ') : "\n" + std::string(kNames, ' ');
  for (const char c : wrapped(text, kColumns - kNames))
    line += c == '\n' ? "\n" + std::string(kNames, ' ') : std::string(1, c);
  return line + "\n";
}

class NarrowHelp : public CLI::Formatter {
 public:
  NarrowHelp() { column_width(kNames); }
  std::string make_option_desc(const CLI::Option* option) const override {
    return wrapped(CLI::Formatter::make_option_desc(option), kColumns - kNames);
  }
  std::string make_subcommand(const CLI::App* command) const override {
    return entry(command->get_name(), command->get_description());
  }
  std::string make_description(const CLI::App* app) const override {
    return wrapped(app->get_description(), kColumns) + "\n";
  }
};

std::vector<std::string> commands_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  return names;
}

std::vector<std::string> options_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

std::string nearest_command(const std::string& word, const std::vector<std::string>& commands) {
  std::vector<std::string> known = commands;
  for (const auto& [synonym, command] : kSynonyms)
    if (std::ranges::find(commands, command) != commands.end()) known.push_back(synonym);
  const std::string nearest = nearest_name(word, known);
  const auto synonym = kSynonyms.find(nearest);
  return synonym == kSynonyms.end() ? nearest : synonym->second;
}

/// An option that the command does not have, or a word too many.
void explain_extras(const CLI::App& app, const CLI::App& command, Diagnostic& finding) {
  const std::vector<std::string> extras = app.remaining(/*recurse=*/true);
  const auto option = std::ranges::find_if(extras, [](const std::string& word) { return word.starts_with('-'); });
  if (option == extras.end()) {
    finding.what = fmt::format("'{}' is a word too many", extras.empty() ? "" : extras.back());
    return;
  }
  finding.what = fmt::format("'{}' has no option '{}'", command.get_name(), option->substr(0, option->find('=')));
  finding.known = options_of(command);
  finding.nearest = nearest_name(option->substr(0, option->find('=')), finding.known);
}

}  // namespace

void refuse_empty_values(const Words& words) {
  for (const std::string& word : words) {
    if (word == "--") return;
    if (!word.starts_with("--") || word.find('=') + 1 != word.size()) continue;
    const std::string option = word.substr(0, word.size() - 1);
    throw UserError(
        ExitCode::usage, fmt::format("the value of {} is empty", option),
        fmt::format("write {}=VALUE, or leave the option out; a variable of the shell in it may be unset", option));
  }
}

std::string usage_message(const CLI::App& app, const CLI::ParseError& error, const Words& words) {
  Diagnostic finding{.what = error.what()};
  const CLI::App* command = &app;
  std::string called = "backplane";
  for (const std::string& word : words) {
    const std::vector<std::string> commands = commands_of(*command);
    if (commands.empty() || word.starts_with('-')) break;
    if (std::ranges::find(commands, word) == commands.end()) {
      finding.what = fmt::format("unknown command '{}'", word);
      finding.nearest = nearest_command(word, commands);
      finding.known = commands;
      break;
    }
    command = command->get_subcommand(word);
    called += " " + word;
  }
  finding.hint = fmt::format("`{} --help` lists {}", called,
                             commands_of(*command).empty() ? "its words and options" : "commands and options");
  const bool lacks_command = dynamic_cast<const CLI::RequiredError*>(&error) != nullptr && finding.known.empty() &&
                             !commands_of(*command).empty();
  constexpr std::string_view kRequired = " is required";
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr && finding.what.ends_with(kRequired))
    finding.what.replace(finding.what.size() - kRequired.size(), kRequired.size(), " is missing");
  if (lacks_command) finding.what = fmt::format("`{}` wants a command", called);
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr && finding.known.empty())
    explain_extras(app, *command, finding);
  std::string text = finding.text() + "\n";
  if (lacks_command)
    for (const CLI::App* each : command->get_subcommands({})) text += entry(each->get_name(), each->get_description());
  return text;
}

std::shared_ptr<CLI::Formatter> narrow_help() {
  return std::make_shared<NarrowHelp>();
}

}  // namespace backplane::cli
