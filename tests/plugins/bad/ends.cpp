// Calls that do not come back, or leave the thread changed; `factor` chooses which.
#include <cfenv>
#include <csignal>
#include <cstdlib>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <xmmintrin.h>

#include "valid.h"

static int factor;  // of the last layer made; the experiments have one

static int overflow_stack(volatile char* outer) {
  volatile char room[4096];
  room[0] = static_cast<char>(*outer + 1);
  return overflow_stack(room) + room[0];
}

static bp_status create(const bp_host* host, bp_context* context, const bp_attribute_value* values, void** layer) {
  factor = static_cast<int>(values[0].number);
  if (factor == 1) std::exit(0);
  return Tables::create(host, context, values, layer);
}

static bp_status plan(const void* layer, const bp_host* host, bp_context* context, const bp_plan_api* api,
                      bp_plan* plan) {
  if (factor == 2) _Exit(0);
  return Tables::plan(layer, host, context, api, plan);
}

static void destroy(void*) {
  if (factor == 3) _exit(0);
}

static bp_status forward(const void* layer, const bp_call* call) {
  volatile char start = 0;
  switch (factor) {
    case 10: std::exit(0);
    case 11: std::quick_exit(0);
    case 12: _exit(0);
    case 13: _Exit(3);
    case 14: std::thread([] { std::exit(0); }).join(); break;
    case 15:
      if (const pid_t child = fork(); child == 0)
        _exit(0);  // of its own process, which is its right
      else
        waitpid(child, nullptr, 0);
      break;
    case 16: return daemon(1, 1) == 0 ? BP_OK : BP_E_INTERNAL;
    case 20: std::abort();
    case 21: *reinterpret_cast<volatile int*>(8) = 1; break;
    case 22: std::raise(SIGFPE); break;
    case 23: return overflow_stack(&start);
    case 24: std::raise(SIGILL); break;
    case 25: std::raise(SIGBUS); break;
    case 30: std::fesetround(FE_UPWARD); break;
    case 31: _MM_SET_FLUSH_ZERO_MODE(_MM_FLUSH_ZERO_ON); break;
    case 32: call->host->error(call->context, BP_E_INVALID, "an index beyond the vocabulary"); break;
    default: break;
  }
  return Tables::forward(layer, call);
}

static bp_status backward(const void* layer, const bp_call* call) {
  if (factor == 26) *reinterpret_cast<volatile int*>(8) = 1;
  return Tables::backward(layer, call);
}

BP_SPOILED("test.ends", tables.layer.create = create; tables.layer.destroy = destroy; tables.layer.plan = plan;
           tables.kernels.forward = forward; tables.kernels.backward = backward)
