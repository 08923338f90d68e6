#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "bench/bench.h"

namespace backplane {

/// Everything that was measured, in seconds, bytes and shares of 1.
nlohmann::ordered_json to_json(const BenchResult& result, const BenchOptions& options);

/// Speed-up over threads as a picture (SVG): measured with its interval, the fitted law, the simulated schedule, and
/// the line of a machine that loses nothing.
std::string speedup_plot(const BenchResult& result, const std::string& title);

}  // namespace backplane
