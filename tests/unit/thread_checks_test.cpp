// Built with BP_CHECK_THREADS, as builds that are not for release are.

#include "base/thread_checks.h"

#include <gtest/gtest.h>

#include <thread>

#include "files/io_thread.h"
#include "parallel/arena.h"

namespace backplane {
namespace {

/// Whether `call` breaks a rule.
template <class Call>
bool breaks(const Call& call) {
  try {
    call();
  } catch (const InternalError&) {
    return true;
  }
  return false;
}

TEST(ThreadChecks, ALoopInsideABodyIsRefused) {
  Arena arena(2);
  EXPECT_TRUE(breaks([&] { arena.for_each(2, [&](std::int64_t) { arena.for_each(1, [](std::int64_t) {}); }); }));
  EXPECT_FALSE(breaks([&] { arena.for_each(2, [](std::int64_t) {}); })) << "the tag ends with the body";
}

TEST(ThreadChecks, AJobThatWaitsForItsOwnThreadIsRefused) {
  IoThread io;
  io.submit([&] { io.drain(); });
  EXPECT_TRUE(breaks([&] { io.drain(); }));
  EXPECT_FALSE(breaks([&] { io.drain(); }));
}

TEST(ThreadChecks, WhatOneThreadUsesIsRefusedToAnother) {
  const OneThread checker;
  EXPECT_FALSE(breaks([&] { checker.check(); }));
  bool is_refused = false;
  std::thread([&] { is_refused = breaks([&] { checker.check(); }); }).join();
  EXPECT_TRUE(is_refused);
  EXPECT_FALSE(breaks([&] { checker.check(); }));
}

}  // namespace
}  // namespace backplane
