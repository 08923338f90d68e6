// It calls a function that nobody defines: linked without -z defs, as a plug-in must not be.
#include "valid.h"

extern "C" void function_that_nobody_defines();

BP_SPOILED("test.undefined_symbol", function_that_nobody_defines())
