#include "files/io_thread.h"

#include <utility>

#include "base/thread_checks.h"

namespace backplane {

IoThread::IoThread() : thread_([this] { run(); }) {}

IoThread::~IoThread() {
  {
    const MutexLock lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void IoThread::submit(std::function<void()> job) {
  BP_NOT_ON_THREAD(io);  // which would wait for itself
  MutexLock lock(mutex_);
  while (jobs_.size() >= kLongestQueue && !failure_) lock.wait(changed_);
  rethrow_failure();
  jobs_.push_back(std::move(job));
  changed_.notify_all();
}

void IoThread::drain() {
  BP_NOT_ON_THREAD(io);
  MutexLock lock(mutex_);
  while (!jobs_.empty() || busy_) lock.wait(changed_);
  rethrow_failure();
}

void IoThread::rethrow_failure() {
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void IoThread::run() {
  const ThreadTagScope tag(ThreadTag::io);
  while (const std::function<void()> job = next_job()) {
    std::exception_ptr failure;
    try {
      job();
    } catch (...) {
      failure = std::current_exception();
    }
    const MutexLock lock(mutex_);
    busy_ = false;
    if (failure && !failure_) failure_ = failure;
    changed_.notify_all();
  }
}

std::function<void()> IoThread::next_job() {
  MutexLock lock(mutex_);
  while (jobs_.empty() && !ending_) lock.wait(changed_);
  if (jobs_.empty()) return {};
  std::function<void()> job = std::move(jobs_.front());
  jobs_.pop_front();
  busy_ = true;
  return job;
}

}  // namespace backplane
