#pragma once

#include <CLI/CLI.hpp>

#include <memory>
#include <string>

#include "cli/commands.h"

namespace backplane::cli {

/// What is wrong with a command line, and what was probably meant.
std::string usage_message(const CLI::App& app, const CLI::ParseError& error, const Words& words);

/// Throws UserError (usage) where an option has nothing behind its '=': it would take the next word for its value.
void refuse_empty_values(const Words& words);

/// Help in lines of at most 80 columns. Subcommands that are added later take it over.
std::shared_ptr<CLI::Formatter> narrow_help();

}  // namespace backplane::cli
