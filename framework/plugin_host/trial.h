#pragma once

#include <chrono>
#include <functional>
#include <string>

namespace backplane {

/// Runs `load`, which runs a plug-in's code, in a child process first. Returns why that did not come back, as the end
/// of the sentence "plug-in …: …", or "" where it did, with or without an exception, and where no child can be started.
/// It comes back where the child itself does, with its descriptors open: one that goes on as a child of its own has
/// ended the program. After `patience`, which is long since large libraries may come from a slow disk, the child is
/// killed. It prints nothing. [load] REQUIRES: no other thread that could hold the loader's lock.
std::string why_loading_does_not_return(const std::function<void()>& load,
                                        std::chrono::milliseconds patience = std::chrono::seconds{60});

}  // namespace backplane
