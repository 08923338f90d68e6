// A steady step takes no memory: operator new is counted. (oneTBB and BLIS take theirs from pools of their own; oneDNN,
// which float32 runs on, allocates a little in every call, which is why this is asked in float64.)
#include "base/sanitizers.h"

#if !BP_ADDRESS_SANITIZER && !BP_THREAD_SANITIZER

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <string>

#include "support/model.h"

namespace {
std::atomic<std::int64_t> allocations = 0;

void* allocate(std::size_t bytes, std::size_t alignment) {
  ++allocations;
  void* memory = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
}  // namespace

void* operator new(std::size_t bytes) {
  return allocate(bytes, alignof(std::max_align_t));
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return allocate(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

namespace backplane {
namespace {

class SteadyStep : public ::testing::TestWithParam<std::string> {};

TEST_P(SteadyStep, TakesNoMemory) {
  testing::Lab lab({.data = "synthetic: {random: {samples: 640, inputs: 20, classes: 4}}",
                    .layers = "{dense: {name: hidden, units: 40, activation: tanh}}, "
                              "{dense: {name: more, units: 30, activation: relu}}, {dense: {name: logits, units: 4}}",
                    .loss = "softmax_cross_entropy",
                    .train = "epochs: 1, batch_size: 32, optimizer: adam" + GetParam(),
                    .dtype = "float64"},
                   2);
  for (int step = 0; step < 5; ++step) lab.trainer.step();
  const std::int64_t before = allocations;
  for (int step = 0; step < 10; ++step) lab.trainer.step();
  EXPECT_EQ(allocations - before, 0);
}

INSTANTIATE_TEST_SUITE_P(Trained, SteadyStep, ::testing::Values("", ", clip: {norm: 1.0}", ", l2: 0.1"));

}  // namespace
}  // namespace backplane

#endif
