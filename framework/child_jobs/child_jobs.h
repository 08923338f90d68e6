#pragma once

#include <vector>

#include "sandbox/child_program.h"

namespace backplane {

/// What the framework has children do. Every program that uses it begins its main with
///
///     do_job_of_parent(argc, argv, child_jobs());
std::vector<ChildJob> child_jobs();

}  // namespace backplane
