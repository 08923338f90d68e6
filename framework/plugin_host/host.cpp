#include "plugin_host/host.h"

#include <fmt/format.h>

#include "random/philox.h"

namespace backplane {

namespace {

/// Called by plug-ins: must not let an exception out.
void record_error(bp_context* context, bp_status code, const char* text) noexcept {
  if (context == nullptr || context->code != BP_OK) return;
  context->code = code == BP_OK ? BP_E_INTERNAL : code;
  try {
    context->text = text == nullptr ? "" : text;
  } catch (...) {
    context->text.clear();  // the code still says that something failed
  }
}

}  // namespace

const bp_host& plugin_services() {
  static const bp_host host{.struct_size = sizeof(bp_host),
                            .abi_minor = BP_ABI_MINOR,
                            .name = "backplane",
                            .version = BACKPLANE_VERSION,
                            .error = record_error,
                            .random = random_words};
  return host;
}

std::string complaint(const bp_context& context, bp_status status) {
  if (!context.text.empty()) return context.text;
  return fmt::format("it failed with code {} and gave no reason, which is a defect of the plug-in", status);
}

}  // namespace backplane
