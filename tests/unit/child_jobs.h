#pragma once

#include "sandbox/child_program.h"

namespace backplane::testing {

// Of data_hdf5_test.cpp, inspect_test.cpp and sandbox_test.cpp.
extern const ChildJob kMakeTables, kPrintSomething, kDoDeed, kSendPatiently, kSumUp;

}  // namespace backplane::testing
