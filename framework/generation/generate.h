#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/dataset.h"
#include "network/network.h"
#include "trainer/executor.h"

namespace backplane {

/// Text that the trained network writes at the end of a run.
struct GenerateOptions {
  std::int64_t samples = 0;  ///< 0: none
  std::int64_t length = 0;   ///< symbols
  double temperature = 1.0;
  Place place;
};

/// A text that a model wrote.
struct GeneratedText {
  std::string prompt;  ///< what it was given: a window of the test split
  std::string text;    ///< how it goes on
};

/// Lets a network that was trained on text write on, symbol by symbol: the window of the last T symbols goes forward,
/// the next symbol is drawn from softmax(z / temperature) of the last step, and the window moves on by one. Draws are a
/// function of (seed, sample, symbol). Prompts are windows of the test split (of the training split without one), as
/// far apart as can be; samples are the rows of one batch. Ends early when `is_stop_asked`. Uses the executor as an
/// evaluation does. REQUIRES: one output at least for each symbol.
std::vector<GeneratedText> generate_text(const GenerateOptions& options, const DataSet& data, const Network& network,
                                         Executor& executor, std::uint64_t seed,
                                         const std::function<bool()>& is_stop_asked);

}  // namespace backplane
