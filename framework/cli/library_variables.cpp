#include "cli/library_variables.h"

#include <blis.h>
#include <fmt/format.h>

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "cli/output.h"
#include "kernels/matmul.h"
#include "plugin_host/trial.h"

namespace backplane::cli {

namespace {

/// oneDNN writes them to stdout, where results are read by programs.
void take_out_verbose() {
  for (const char* name : {"DNNL_VERBOSE", "ONEDNN_VERBOSE", "MKLDNN_VERBOSE"}) {
    const char* value = std::getenv(name);
    if (value == nullptr) continue;
    const bool prints = *value != '\0' && std::string_view(value) != "0";
    ::unsetenv(name);
    if (prints) say("note: {} is not heeded: oneDNN would print among the results\n", name);
  }
}

/// BLIS aborts where it has no kernels of that number; where the machine lacks their instructions, it crashes.
void try_blis(const std::string&) {
  bli_arch_query_id();  // what the description of a run asks
  constexpr int kSide = 32;
  const std::vector<double> a(kSide * kSide, 1.0);
  std::vector<double> c(kSide * kSide);
  kernels::matmul<double>(kSide, kSide, kSide, kernels::Transpose::no, a.data(), kSide, kernels::Transpose::no,
                          a.data(), kSide, 0.0, c.data(), kSide);
}

}  // namespace

const ChildJob kTryBlis = trial_job<try_blis>("try-blis");

namespace {

void require_usable_blis() {
  constexpr const char* kName = "BLIS_ARCH_TYPE";
  const char* value = std::getenv(kName);
  if (value == nullptr) return;
  const std::string why = why_trial_does_not_return(kTryBlis, value);
  if (!why.empty())
    throw UserError(ExitCode::bad_config,
                    fmt::format("the variable {}={} names no kernels of BLIS that work on this machine", kName, value),
                    fmt::format("`unset {}`: BLIS then chooses them by itself", kName));
}

}  // namespace

void settle_library_variables() {
  take_out_verbose();
  require_usable_blis();
}

}  // namespace backplane::cli
