#include "parallel/arena.h"

#include <omp.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_for.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <set>

#include "base/error.h"
#include "parallel/race_annotations.h"

namespace backplane {

Arena::OneKernelThread::OneKernelThread(tbb::task_arena& arena) : tbb::task_scheduler_observer(arena) {
  observe(true);
}

void Arena::OneKernelThread::on_scheduler_entry(bool) {
  omp_set_num_threads(1);
}

namespace {

/// The threads of every arena alive, and oneTBB's limit: of several limits it obeys the smallest, so there is one.
struct Limits {
  std::mutex mutex;
  std::multiset<int> threads;
  std::unique_ptr<tbb::global_control> control;

  void renew() {
    control.reset();
    if (!threads.empty())
      control = std::make_unique<tbb::global_control>(tbb::global_control::max_allowed_parallelism,
                                                      static_cast<std::size_t>(*threads.rbegin()));
  }
};

Limits& limits() {
  static Limits all;
  return all;
}

/// Looked at before oneTBB sees it, which would end the process.
int checked(int threads) {
  BP_ASSERT(threads >= 1);
  return threads;
}

}  // namespace

Arena::Limit::Limit(int threads) : threads_(threads) {
  const std::lock_guard lock(limits().mutex);
  limits().threads.insert(threads_);
  limits().renew();
}

Arena::Limit::~Limit() {
  const std::lock_guard lock(limits().mutex);
  limits().threads.erase(limits().threads.find(threads_));
  limits().renew();
}

Arena::Arena(int threads)
    : threads_(checked(threads)),
      limit_(threads),
      arena_(threads),
      observer_(arena_),
      log_(threads),
      slots_(static_cast<std::size_t>(threads)) {}

void Arena::run(std::int64_t n, void (*call)(const void* context, std::int64_t i), const void* context) {
  [[maybe_unused]] const char begin = 0, end = 0;
  BP_HAPPENS_BEFORE(&begin);
  const auto body = [&](std::int64_t i) {
    BP_HAPPENS_AFTER(&begin);
    const char* slot = &slots_[static_cast<std::size_t>(worker())];  // what a slot owns passes from body to body
    BP_HAPPENS_AFTER(slot);
    const std::int64_t start = log_.is_on() ? log_.now() : 0;
    call(context, i);
    if (log_.is_on()) log_.add_body(i, start);
    BP_HAPPENS_BEFORE(slot);
    BP_HAPPENS_BEFORE(&end);
  };
  const bool is_logged = log_.is_on();
  if (is_logged) log_.begin_loop();
  arena_.execute([&] { tbb::parallel_for(std::int64_t{0}, n, body, tbb::simple_partitioner()); });
  if (is_logged) log_.end_loop();
  BP_HAPPENS_AFTER(&end);
}

int Arena::worker() {
  const int slot = tbb::this_task_arena::current_thread_index();
  BP_ASSERT(slot >= 0);
  return slot;
}

}  // namespace backplane
