#include "experiment/trace.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <optional>
#include <stdexcept>
#include <thread>

#include "support/model.h"

namespace backplane {
namespace {

using testing::Lab;
using testing::TemporaryFolder;

constexpr const char* kThinned =
    "name: test\ndata: {synthetic: {xor: {}}}\n"
    "network: {layers: [{dense: {units: 2}}], loss: softmax_cross_entropy}\n"
    "train: {steps: 10, batch_size: 4, optimizer: {sgd: {lr: 0.1}}}\n"
    "record: {every: 1, taps: [delta], when_busy: thin}\n";

void record_step(Trainer& trainer, Trace& trace) {
  trainer.step([&](const Batch& batch) { trace.copy_before_update(batch); });
  trace.copy_after_update(trainer.state().step);
}

TEST(Trace, OutlivesItsJobsWhereOneBeforeThemFails) {
  const TemporaryFolder folder("trace");
  Lab lab(kThinned);
  const TracePlan plan(lab.experiment, lab.model.network, run_length(lab.experiment.train, lab.model.data.train.count));
  std::promise<void> recorded, failed, go_on;
  std::atomic<bool> is_last_job_done = false;
  IoThread io;
  std::optional<Trace> trace(std::in_place, folder.path("trace.h5"), plan, lab.model.network, lab.trainer, lab.arena,
                             io);
  io.submit([&] {
    recorded.get_future().wait();
    throw std::runtime_error("another's failure");
  });
  io.submit([&] {
    failed.set_value();
    go_on.get_future().wait();
  });
  for (int step = 0; step <= TracePlan::kRecordsInFlight; ++step)
    record_step(lab.trainer, *trace);  // the last is left out
  io.submit([&] { is_last_job_done = true; });
  recorded.set_value();
  failed.get_future().wait();
  std::jthread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // time for the trace to go too early, if it does
    go_on.set_value();
  });
  trace.reset();
  EXPECT_TRUE(is_last_job_done);
}

}  // namespace
}  // namespace backplane
