#pragma once

namespace backplane::testing {

// Where this build is: known to one object file, so that all others are the same in every folder.
extern const char* const kProgram;
extern const char* const kSourceFolder;
extern const char* const kPluginFolder;      ///< the plug-ins of this tree
extern const char* const kGoodPluginFolder;  ///< of tests/plugins/good
extern const char* const kBadPluginFolder;   ///< of tests/plugins/bad

}  // namespace backplane::testing
