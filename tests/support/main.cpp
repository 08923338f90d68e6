#include <gtest/gtest.h>

#include "child_jobs/child_jobs.h"
#include "support/child_jobs.h"

int main(int argc, char** argv) {
  std::vector<backplane::ChildJob> jobs = backplane::child_jobs();
  for (const backplane::ChildJob& job : backplane::testing::child_jobs_of_tests()) jobs.push_back(job);
  backplane::do_job_of_parent(argc, argv, jobs);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
