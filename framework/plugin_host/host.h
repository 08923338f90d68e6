#pragma once

#include <backplane/abi.h>

#include <exception>
#include <string>

/// The ABI's opaque context: where a plug-in's call leaves its complaint. One per call, on the caller's stack.
struct bp_context {
  bp_status code = BP_OK;
  std::string text;
};

namespace backplane {

/// The services handed to plug-ins; static, valid until the process ends. [any thread]
const bp_host& plugin_services();

/// Calls a function of a plug-in. None may let an exception out; where one does, it becomes a complaint of the plug-in
/// instead of an end of the process.
template <class Function>
bp_status call_guarded(bp_context& context, Function&& function) {
  const auto complain = [&](const std::string& text) {
    context.code = BP_E_INTERNAL;
    context.text = "it let an exception out, which is a defect of the plug-in" + text;
    return bp_status{BP_E_INTERNAL};
  };
  try {
    return function();
  } catch (const std::exception& failure) {
    return complain(std::string(": ") + failure.what());
  } catch (...) {
    return complain(", and no std::exception");
  }
}

/// "error -1" for a code without text, else the text that the plug-in gave.
std::string complaint(const bp_context& context, bp_status status);

}  // namespace backplane
