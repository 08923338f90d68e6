#include "parallel/arena.h"

#include <omp.h>
#include <oneapi/tbb/parallel_for.h>

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
/// Looked at before oneTBB sees it, which would end the process.
int checked(int threads) {
  BP_ASSERT(threads >= 1);
  return threads;
}
}  // namespace

Arena::Arena(int threads)
    : threads_(checked(threads)),
      limit_(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(threads)),
      arena_(threads),
      observer_(arena_),
      slots_(static_cast<std::size_t>(threads)) {}

void Arena::for_each(std::int64_t n, const std::function<void(std::int64_t)>& body) {
  [[maybe_unused]] const char begin = 0, end = 0;
  BP_HAPPENS_BEFORE(&begin);
  const auto run = [&](std::int64_t i) {
    BP_HAPPENS_AFTER(&begin);
    const char* slot = &slots_[static_cast<std::size_t>(worker())];  // what a slot owns passes from body to body
    BP_HAPPENS_AFTER(slot);
    body(i);
    BP_HAPPENS_BEFORE(slot);
    BP_HAPPENS_BEFORE(&end);
  };
  arena_.execute([&] { tbb::parallel_for(std::int64_t{0}, n, run, tbb::simple_partitioner()); });
  BP_HAPPENS_AFTER(&end);
}

int Arena::worker() {
  const int slot = tbb::this_task_arena::current_thread_index();
  BP_ASSERT(slot >= 0);
  return slot;
}

}  // namespace backplane
