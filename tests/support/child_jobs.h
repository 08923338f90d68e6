#pragma once

#include <vector>

#include "sandbox/child_program.h"

namespace backplane::testing {

/// What tests of this program have children do, beside what the framework does.
std::vector<ChildJob> child_jobs_of_tests();

}  // namespace backplane::testing
