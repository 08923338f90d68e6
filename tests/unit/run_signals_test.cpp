#include "run/signals.h"

#include <gtest/gtest.h>

namespace backplane {
namespace {

using Answer = StopRequest::Answer;
using std::chrono::milliseconds;

constexpr StopRequest::Clock::time_point kStart{};

TEST(StopRequest, FirstSignalAsksForAStop) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGXCPU}) {
    StopRequest request;
    EXPECT_EQ(request(signal, kStart), Answer::stop);
  }
}

TEST(StopRequest, EchoOfTheFirstIsIgnoredHoweverOften) {
  StopRequest request;
  request(SIGTERM, kStart);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGXCPU})
    EXPECT_EQ(request(signal, kStart + milliseconds(499)), Answer::ignore);
}

TEST(StopRequest, SignalThatIsSentAgainEndsAtOnce) {
  for (const int first : {SIGINT, SIGTERM, SIGHUP, SIGXCPU})
    for (const int second : {SIGINT, SIGTERM}) {
      StopRequest request;
      request(first, kStart);
      EXPECT_EQ(request(second, kStart + milliseconds(500)), Answer::end_at_once);
    }
}

TEST(StopRequest, WhatRepeatsByItselfNeverEndsAtOnce) {
  StopRequest request;
  request(SIGXCPU, kStart);
  for (int second = 1; second < 100; ++second)
    for (const int signal : {SIGXCPU, SIGHUP})
      EXPECT_EQ(request(signal, kStart + std::chrono::seconds(second)), Answer::ignore);
}

}  // namespace
}  // namespace backplane
