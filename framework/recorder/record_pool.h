#pragma once

#include <condition_variable>
#include <memory>
#include <vector>

#include "base/mutex.h"
#include "recorder/trace_file.h"

namespace backplane {

/// Records that go round between the thread that fills them and the one that writes them: what is on its way to the
/// file has bounded memory, and none is allocated while training goes on.
class RecordPool {
 public:
  /// Buffers for `records` records of these tensors.
  RecordPool(const std::vector<TraceTensor>& tensors, int records) {
    for (int i = 0; i < records; ++i) {
      auto record = std::make_unique<TraceRecord>();
      for (const TraceTensor& tensor : tensors)
        record->tensors.emplace_back(static_cast<std::size_t>(element_count(tensor.shape)) * size_of(tensor.element));
      free_.push_back(std::move(record));
    }
  }

  /// A record to fill; waits for one.
  std::unique_ptr<TraceRecord> take() {
    MutexLock lock(mutex_);
    while (free_.empty()) lock.wait(freed_);
    return take_locked();
  }

  /// The same, or nothing where all are on their way.
  std::unique_ptr<TraceRecord> take_if_free() {
    const MutexLock lock(mutex_);
    return free_.empty() ? nullptr : take_locked();
  }

  void give_back(std::unique_ptr<TraceRecord> record) {
    {
      const MutexLock lock(mutex_);
      free_.push_back(std::move(record));
    }
    freed_.notify_one();
  }

 private:
  std::unique_ptr<TraceRecord> take_locked() BP_REQUIRES(mutex_) {
    std::unique_ptr<TraceRecord> record = std::move(free_.back());
    free_.pop_back();
    return record;
  }

  Mutex mutex_;
  std::condition_variable freed_;
  std::vector<std::unique_ptr<TraceRecord>> free_ BP_GUARDED_BY(mutex_);
};

}  // namespace backplane
