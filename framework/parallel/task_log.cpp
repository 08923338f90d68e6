#include "parallel/task_log.h"

#include <oneapi/tbb/task_arena.h>

#include "base/error.h"

namespace backplane {

const char* name_of(Work work) {
  static constexpr const char* kNames[kWorks] = {"data",      "forward",   "loss", "backward", "gradient",
                                                 "reduction", "optimizer", "pack", "state",    "recording"};
  return kNames[static_cast<std::size_t>(work)];
}

void TaskLog::start(std::size_t capacity) {
  BP_ASSERT(!is_on_);
  capacity_ = capacity;
  for (Track& track : tracks_) {
    track.tasks.clear();
    track.tasks.reserve(capacity);
    track.bodies.clear();
    track.bodies.reserve(capacity);
    track.dropped = 0;
  }
  is_full_ = false;
  loops_.clear();
  loops_.reserve(capacity);
  start_ = Clock::now();
  is_on_ = true;
}

void TaskLog::stop() {
  BP_ASSERT(is_on_);
  duration_ = now();
  is_on_ = false;
}

TaskLog::Track& TaskLog::own_track() {
  // Between loops the caller's slot would be that of an arena of oneTBB's own.
  return is_in_loop_ ? tracks_[static_cast<std::size_t>(tbb::this_task_arena::current_thread_index())] : tracks_.back();
}

void TaskLog::add(Task task) {
  task.end = now();
  Track& track = own_track();
  if (track.tasks.size() < capacity_)
    track.tasks.push_back(task);
  else
    ++track.dropped, is_full_.store(true, std::memory_order_relaxed);
}

void TaskLog::begin_loop() {
  loops_.push_back({now(), 0});
  is_in_loop_ = true;
}

void TaskLog::end_loop() {
  is_in_loop_ = false;
  loops_.back().end = now();
}

void TaskLog::add_body(std::int64_t index, std::int64_t begin) {
  std::vector<Body>& bodies = own_track().bodies;
  if (bodies.size() < capacity_)
    bodies.push_back({static_cast<std::int32_t>(loops_.size()) - 1, static_cast<std::int32_t>(index), begin, now()});
}

}  // namespace backplane
