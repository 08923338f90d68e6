// Each call of a commit fails in each way, and the power fails before each: what was committed stays, and the next
// commit succeeds.

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>

#include "checkpoint/reader.h"
#include "checkpoint/store.h"
#include "fault/faults.h"
#include "fault/support.h"

namespace backplane::fault {
namespace {

namespace fs = std::filesystem;
using backplane::testing::read_bytes;
using backplane::testing::TemporaryFolder;
using backplane::testing::user_error_of;

constexpr Retention kKeep{.keep = 2};

/// The steps that MANIFEST.json names, each of which must be whole; empty where there is no manifest.
std::vector<std::int64_t> readable_steps(const std::string& directory) {
  std::vector<std::int64_t> steps;
  if (!fs::exists(directory + "/MANIFEST.json")) return steps;
  const auto manifest = nlohmann::json::parse(read_bytes(directory + "/MANIFEST.json"));
  for (const auto& entry : manifest.at("checkpoints"))
    steps.push_back(read_checkpoint(directory + "/" + entry.at("file").get<std::string>()).step);
  return steps;
}

/// Nothing stands in the directory but the manifest, its copy, and what they name.
void expect_no_litter(const std::string& directory) {
  std::set<std::string> wanted{"MANIFEST.json", "MANIFEST.copy.json"};
  for (const std::int64_t step : readable_steps(directory))
    wanted.insert("step-0000000" + std::to_string(step) + ".h5");
  EXPECT_EQ(names_in(directory), wanted);
}

/// A directory in which steps 1 to 3 are committed and the oldest is gone: what is tested is the commit of step 4.
struct Committed {
  Committed() {
    for (const std::int64_t step : {1, 2, 3}) store.commit(small_snapshot(step));
  }
  std::string path() const { return folder.path("checkpoints"); }

  TemporaryFolder folder{"commit"};
  CheckpointStore store{folder.path("checkpoints"), kKeep};
};

std::vector<std::string> calls_of_a_commit() {
  Committed scene;
  arm({.directory = scene.path(), .faults = {}, .seed = 0});
  scene.store.commit(small_snapshot(4));
  return disarm();
}

struct Error {
  Action action;
  const char* name;
};
constexpr Error kErrors[] = {{Action::io_error, "EIO"},
                             {Action::no_space, "ENOSPC"},
                             {Action::over_quota, "EDQUOT"},
                             {Action::interrupted, "EINTR"},
                             {Action::half, "half"}};

/// Whether the commit is to go on as if nothing had been: a signal alone, or half a write, is no failure. An fsync that
/// was interrupted is one, since nobody knows what a second one would say.
bool is_harmless(Action action, const std::string& call) {
  const auto is = [&](const char* name) { return call.starts_with(name); };
  return action == Action::half ||
         (action == Action::interrupted && (is("open") || is("write") || is("read") || is("close")));
}

/// The commit of step 4 with these faults, and then one without. Returns its error.
std::string commit_with(const std::vector<Fault>& faults) {
  Committed scene;
  const long descriptors = open_descriptors();
  arm({.directory = scene.path(), .faults = faults, .seed = 0});
  const std::string error = user_error_of([&] { scene.store.commit(small_snapshot(4)); });
  EXPECT_EQ(repeated_fsyncs(), 0);
  disarm();
  EXPECT_TRUE(error.empty() || error.starts_with("74 ")) << error;
  EXPECT_EQ(open_descriptors(), descriptors);
  const std::vector<std::int64_t> after = readable_steps(scene.path());
  EXPECT_FALSE(after.empty()) << "nothing is left";
  if (after.empty()) return error;
  EXPECT_TRUE(after.back() == 4 || (after.back() == 3 && !error.empty())) << after.back() << " " << error;

  scene.store.commit(small_snapshot(5));
  EXPECT_EQ(readable_steps(scene.path()).back(), 5);
  expect_no_litter(scene.path());
  return error;
}

TEST(Commit, SurvivesAnErrorOfAnyOfItsCalls) {
  const std::vector<std::string> calls = calls_of_a_commit();
  int cases = 0;
  for (int at = 1; at <= std::ssize(calls); ++at)
    for (const Error& error : kErrors) {
      const std::string& call = calls[static_cast<std::size_t>(at - 1)];
      if (error.action == Action::half && !call.starts_with("write") && !call.starts_with("read")) continue;
      SCOPED_TRACE(std::string(error.name) + " of call " + std::to_string(at) + ": " + call);
      const std::string what = commit_with({{at, error.action}});
      EXPECT_TRUE(what.empty() || !is_harmless(error.action, call)) << what;
      ++cases;
    }
  std::printf("%zu calls of a commit, each with its errors: %d cases\n", calls.size(), cases);
}

TEST(Commit, SurvivesTwoErrors) {
  const int calls = static_cast<int>(calls_of_a_commit().size()) + 5;  // an error makes for some more
  int cases = 0;
  for (int first = 1; first < calls; ++first)
    for (int second = first + 1; second <= calls; second += is_long() ? 1 : 4) {
      SCOPED_TRACE("EIO of the calls " + std::to_string(first) + " and " + std::to_string(second));
      commit_with({{first, Action::io_error}, {second, Action::io_error}});
      ++cases;
    }
  std::printf("errors of two calls of a commit: %d cases\n", cases);
}

/// What happened in a process whose power failed at a call: how far it said that it was, and what then stands.
struct PowerFailure {
  /// `work` is handed a function by which it says which step it was told is committed.
  template <class Work>
  static std::optional<std::int64_t> during(const Plan& plan, Work&& work) {
    int pipe_ends[2];
    EXPECT_EQ(pipe(pipe_ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      arm(plan);
      work([&](std::int64_t step) {
        if (write(pipe_ends[1], &step, sizeof step) != sizeof step) _exit(1);
      });
      _exit(0);
    }
    close(pipe_ends[1]);
    std::int64_t step = 0, said = 0;
    while (read(pipe_ends[0], &step, sizeof step) == sizeof step) said = step;
    close(pipe_ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && (WEXITSTATUS(status) == kPowerFailed || WEXITSTATUS(status) == 0)) << status;
    if (WEXITSTATUS(status) == 0) return std::nullopt;  // the work ended before that call
    return said;
  }
};

/// After a loss of power: what was said to be committed is there, all that the manifest names is whole, and a new
/// process commits and leaves no litter.
void expect_recovery(const std::string& directory, std::int64_t said) {
  const std::vector<std::int64_t> after = readable_steps(directory);
  EXPECT_GE(after.empty() ? 0 : after.back(), said);
  if (said > 0) {
    EXPECT_EQ(read_newest_checkpoint(directory).snapshot.step, after.back());
  }
  CheckpointStore store(directory, kKeep);
  const std::int64_t next = after.empty() ? 1 : after.back() + 1;
  for (std::int64_t step = next; step < next + 3; ++step) store.commit(small_snapshot(step));
  EXPECT_EQ(readable_steps(directory).back(), next + 2);
  expect_no_litter(directory);
}

std::uint64_t seeds_per_call() {
  return is_long() ? 100 : 4;
}

TEST(Commit, ThatWasSaidSurvivesALossOfPowerAtAnyCall) {
  int cases = 0, calls = 0;
  for (std::uint64_t seed = 0; seed <= seeds_per_call(); ++seed)
    for (int at = 1;; ++at) {
      SCOPED_TRACE("power fails at call " + std::to_string(at) + ", seed=" + std::to_string(seed));
      Committed scene;
      const auto said = PowerFailure::during(
          {.directory = scene.path(), .faults = {{at, Action::power_failure}}, .seed = seed}, [&](const auto& say) {
            say(3);
            for (const std::int64_t step : {4, 5}) say(scene.store.commit(small_snapshot(step)).step);
          });
      if (!said) break;
      expect_recovery(scene.path(), *said);
      if (HasFatalFailure()) return;
      ++cases;
      calls = at;
    }
  std::printf("%d calls of two commits, %llu ways to lose power at each: %d cases\n", calls,
              static_cast<unsigned long long>(seeds_per_call() + 1), cases);
}

TEST(Commit, ThatWasSaidSurvivesAnErrorAndThenALossOfPower) {
  const int calls = static_cast<int>(calls_of_a_commit().size());
  int cases = 0;
  for (int error = 1; error <= calls; error += is_long() ? 1 : 3)
    for (int at = error + 1;; at += is_long() ? 1 : 5) {
      const std::uint64_t seed = at % 2 == 0 ? 0 : static_cast<std::uint64_t>(1000 * error + at);
      SCOPED_TRACE("EIO of call " + std::to_string(error) + ", power fails at call " + std::to_string(at) +
                   ", seed=" + std::to_string(seed));
      Committed scene;
      const auto said = PowerFailure::during(
          {.directory = scene.path(), .faults = {{error, Action::io_error}, {at, Action::power_failure}}, .seed = seed},
          [&](const auto& say) {
            say(3);
            for (const std::int64_t step : {4, 5}) try {
                say(scene.store.commit(small_snapshot(step)).step);
              } catch (const UserError&) {
              }
          });
      if (!said) break;
      expect_recovery(scene.path(), *said);
      ++cases;
    }
  std::printf("an error of one call and a loss of power at a later one: %d cases\n", cases);
}

TEST(Commit, OfTheFirstCheckpointSurvivesALossOfPowerAtAnyCall) {
  int cases = 0;
  for (std::uint64_t seed = 0; seed <= seeds_per_call(); ++seed)
    for (int at = 1;; ++at) {
      SCOPED_TRACE("power fails at call " + std::to_string(at) + ", seed=" + std::to_string(seed));
      const TemporaryFolder folder("first");
      const std::string directory = folder.path("runs/one/checkpoints");
      const auto said = PowerFailure::during(
          {.directory = folder.path(), .faults = {{at, Action::power_failure}}, .seed = seed}, [&](const auto& say) {
            CheckpointStore store(directory, kKeep);
            say(store.commit(small_snapshot(1)).step);
            say(store.commit(small_snapshot(2)).step);
          });
      if (!said) break;
      expect_recovery(directory, *said);
      if (HasFatalFailure()) return;
      ++cases;
    }
  std::printf("the first commits, directories and all: %d cases\n", cases);
}

}  // namespace
}  // namespace backplane::fault
