#include "recording/trace.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include "support/model.h"
#include "support/process_state.h"

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
  const TracePlan plan(lab.experiment.record, lab.model.network, lab.model.loss,
                       run_length(lab.experiment.train, lab.model.data.train.count));
  std::promise<void> recorded, failed, go_on;
  std::atomic<bool> is_last_job_done = false, has_gone = false;
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
  std::jthread later([&, us = "self/task/" + std::to_string(gettid())] {
    while (!has_gone && testing::state_of(us) != 'S')
      std::this_thread::yield();  // until the trace waits, or went too early
    go_on.set_value();
  });
  trace.reset();
  EXPECT_TRUE(is_last_job_done);
  has_gone = true;
}

}  // namespace
}  // namespace backplane
