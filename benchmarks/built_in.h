#pragma once

#include <filesystem>

#include "plugin_host/registry.h"

namespace backplane {

/// The plug-ins of this build.
inline Registry built_in() {
  Registry registry;
  for (const auto& file : std::filesystem::directory_iterator(BP_PLUGIN_DIR))
    if (file.path().string().ends_with(".bp.so")) registry.load(file.path().string());
  return registry;
}

}  // namespace backplane
