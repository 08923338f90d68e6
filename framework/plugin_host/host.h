#pragma once

#include <backplane/abi.h>

#include <exception>
#include <string>

#include "plugin_host/floating_point_mode.h"
#include "plugin_host/guard.h"

/// The ABI's opaque context: where a plug-in's call leaves its complaint. One per call, on the caller's stack.
struct bp_context {
  bp_status code = BP_OK;
  std::string text;
};

namespace backplane {

/// The services handed to plug-ins; static, valid until the process ends. [any thread]
const bp_host& plugin_services();

/// Calls a function of a plug-in, under a PluginGuard. None may let an exception out, change the thread's
/// floating-point mode, or succeed after it has reported an error: such a call has failed, with a complaint of the
/// plug-in.
template <class Function>
bp_status call_guarded(bp_context& context, const GuardedOwner& owner, const char* name, const bp_call* call,
                       Function&& function) {
  const auto complain = [&](const std::string& text) {
    context.code = BP_E_INTERNAL;
    context.text = text;
    return bp_status{BP_E_INTERNAL};
  };
  const PluginGuard guard(owner, name, call);
  const FloatingPointMode before;
  bp_status status = BP_OK;
  try {
    status = function();
  } catch (const std::exception& failure) {
    status = complain(std::string("it let an exception out, which is a defect of the plug-in: ") + failure.what());
  } catch (...) {
    status = complain("it let an exception out, which is a defect of the plug-in, and no std::exception");
  }
  if (const char* change = before.put_back(); change != nullptr && status == BP_OK)
    status = complain(std::string("it left the thread with ") + change + ", which is a defect of the plug-in");
  return status == BP_OK ? context.code : status;
}

/// "error -1" for a code without text, else the text that the plug-in gave.
std::string complaint(const bp_context& context, bp_status status);

}  // namespace backplane
