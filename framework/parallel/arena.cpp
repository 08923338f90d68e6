#include "parallel/arena.h"

#include <fmt/format.h>
#include <omp.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_for.h>

#include <algorithm>
#include <future>
#include <memory>
#include <numeric>
#include <set>
#include <system_error>
#include <thread>

#include "base/mutex.h"
#include "base/system_error.h"
#include "base/thread_checks.h"
#include "parallel/race_annotations.h"

namespace backplane {

Arena::WorkerSetup::WorkerSetup(tbb::task_arena& arena, Pin pin) : tbb::task_scheduler_observer(arena) {
  CPU_ZERO(&allowed_);
  if (pin == Pin::yes && sched_getaffinity(0, sizeof allowed_, &allowed_) == 0)
    for (int core = 0; core < CPU_SETSIZE; ++core)
      if (CPU_ISSET(core, &allowed_)) cores_.push_back(core);
  BP_HAPPENS_BEFORE(this);
  observe(true);
}

Arena::WorkerSetup::~WorkerSetup() {
  observe(false);  // waits for those that are inside
  BP_HAPPENS_AFTER(this);
}

void Arena::WorkerSetup::on_scheduler_entry(bool) {
  BP_HAPPENS_AFTER(this);
  omp_set_num_threads(1);
  if (!cores_.empty()) {
    cpu_set_t own;
    CPU_ZERO(&own);
    CPU_SET(cores_[static_cast<std::size_t>(worker()) % cores_.size()], &own);
    sched_setaffinity(0, sizeof own, &own);  // one that is refused costs time, and nothing else
  }
  BP_HAPPENS_BEFORE(this);  // the destructor waits for this call, and not until the thread leaves
}

void Arena::WorkerSetup::on_scheduler_exit(bool) {
  if (!cores_.empty()) sched_setaffinity(0, sizeof allowed_, &allowed_);
  BP_HAPPENS_BEFORE(this);
}

namespace {

/// The threads of every arena alive, and oneTBB's limit: of several limits it obeys the smallest, so there is one.
struct Limits {
  Mutex mutex;
  std::multiset<int> threads BP_GUARDED_BY(mutex);
  std::unique_ptr<tbb::global_control> control BP_GUARDED_BY(mutex);

  void renew() BP_REQUIRES(mutex) {
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

/// Looked at before oneTBB sees it, which would end the process: the number, and whether so many threads can be
/// started beside the calling one. They are started here and end at once.
int checked(int threads) {
  BP_ASSERT(threads >= 1);
  std::vector<std::jthread> trial;  // declared before the promise: where that is broken, they end and can be joined
  std::promise<void> end;
  const std::shared_future<void> ended = end.get_future().share();
  const auto others = static_cast<std::size_t>(threads - 1);
  trial.reserve(others);
  int refusal = 0;
  try {
    while (trial.size() < others) trial.emplace_back([ended] { ended.wait(); });
  } catch (const std::system_error& error) {
    refusal = error.code().value();
  }
  end.set_value();
  for (std::jthread& thread : trial) thread.join();
  if (refusal != 0)
    throw UserError(
        ExitCode::io,
        fmt::format("{} threads cannot be started, only {}: {}", threads, trial.size() + 1, reason_of(refusal)),
        remedy_of(refusal));
  return threads;
}

void wait(std::int64_t nanoseconds) {
  const auto end = TaskLog::Clock::now() + std::chrono::nanoseconds(nanoseconds);
  while (TaskLog::Clock::now() < end) {
  }
}

}  // namespace

Arena::Limit::Limit(int threads) : threads_(threads) {
  Limits& all = limits();
  const MutexLock lock(all.mutex);
  all.threads.insert(threads_);
  all.renew();
}

Arena::Limit::~Limit() {
  Limits& all = limits();
  const MutexLock lock(all.mutex);
  all.threads.erase(all.threads.find(threads_));
  all.renew();
}

Arena::Arena(int threads, Pin pin)
    : threads_(checked(threads)),
      limit_(threads),
      arena_(threads),
      setup_(arena_, pin),
      log_(threads),
      slots_(static_cast<std::size_t>(threads)) {}

void Arena::run(std::int64_t n, void (*call)(const void* context, std::int64_t i), const void* context) {
  [[maybe_unused]] const char begin = 0, end = 0;
  std::vector<std::int64_t> order, delays;  // of a disturbed loop
  if (disturbance_) {
    order.resize(static_cast<std::size_t>(n)), delays.resize(order.size());
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), *disturbance_);
    for (std::int64_t& nanoseconds : delays) nanoseconds = static_cast<std::int64_t>((*disturbance_)() % 50'000);
  }
  BP_NOT_ON_THREAD(compute);
  const auto body = [&](std::int64_t i) {
    const ThreadTagScope tag(ThreadTag::compute);
    BP_HAPPENS_AFTER(&begin);
    const char* slot = &slots_[static_cast<std::size_t>(worker())];  // what a slot owns passes from body to body
    BP_HAPPENS_AFTER(slot);
    if (disturbance_) {
      wait(delays[static_cast<std::size_t>(i)]);
      i = order[static_cast<std::size_t>(i)];
    }
    const std::int64_t start = log_.is_on() ? log_.now() : 0;
    call(context, i);
    if (log_.is_on()) log_.add_body(i, start);
    BP_HAPPENS_BEFORE(slot);
    BP_HAPPENS_BEFORE(&end);
  };
  const TaskLog::LoopSpan span(log_);  // ends after what orders it, also where a body throws
  BP_HAPPENS_BEFORE(&begin);
  arena_.execute([&] { tbb::parallel_for(std::int64_t{0}, n, body, tbb::simple_partitioner()); });
  BP_HAPPENS_AFTER(&end);
}

int Arena::worker() {
  const int slot = tbb::this_task_arena::current_thread_index();
  BP_ASSERT(slot >= 0);
  return slot;
}

}  // namespace backplane
