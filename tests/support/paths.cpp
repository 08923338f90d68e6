#include "support/paths.h"

namespace backplane::testing {

const char* const kProgram = BP_PROGRAM;
const char* const kSourceFolder = BP_SOURCE_FOLDER;
const char* const kPluginFolder = BP_PLUGIN_FOLDER;
const char* const kGoodPluginFolder = BP_GOOD_PLUGIN_FOLDER;
const char* const kBadPluginFolder = BP_BAD_PLUGIN_FOLDER;

}  // namespace backplane::testing
