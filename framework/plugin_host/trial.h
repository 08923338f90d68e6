#pragma once

#include <functional>
#include <string>

namespace backplane {

/// Runs `load`, which runs a plug-in's code, in a child process first. Returns why that did not come back, as the end
/// of the sentence "plug-in …: …", or "" where it did, with or without an exception, and where no child can be started.
/// The child prints nothing. [load] REQUIRES: no other thread that could hold the loader's lock.
std::string why_loading_does_not_return(const std::function<void()>& load);

}  // namespace backplane
