#pragma once

#include <backplane/abi.h>

#include <string>

/// The ABI's opaque context: where a plug-in's call leaves its complaint. One per call, on the caller's stack.
struct bp_context {
  bp_status code = BP_OK;
  std::string text;
};

namespace backplane {

/// The services handed to plug-ins; static, valid until the process ends. [any thread]
const bp_host& plugin_services();

/// "error -1" for a code without text, else the text that the plug-in gave.
std::string complaint(const bp_context& context, bp_status status);

}  // namespace backplane
