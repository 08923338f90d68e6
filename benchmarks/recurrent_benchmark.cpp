// Recurrent layers on one thread, called as the executor calls them (slices, then tiles of the weights), beside the
// bare products of the same shapes that the equations ask for. Layer and products take turns; `share` is the median
// over the turns of time(products) / time(layer) in percent, [`low`, `high`] the quartiles.

#include <benchmark/benchmark.h>
#include <omp.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "config/parse.h"
#include "config/schema.h"
#include "kernels/matmul.h"
#include "plugin_host/attributes.h"
#include "plugin_host/layer.h"
#include "plugin_host/registry.h"
#include "tensor/buffer.h"

namespace backplane {
namespace {

using kernels::matmul;
using kernels::Transpose;

struct Sizes {
  std::int64_t G, H, I, T, N, slice;

  std::int64_t tile() const { return std::max<std::int64_t>(16, (G * H / 16 + 15) / 16 * 16); }
};

Buffer filled(std::int64_t elements) {
  Buffer buffer(static_cast<std::size_t>(elements) * sizeof(float));
  for (std::int64_t i = 0; i < elements; ++i) buffer.as<float>()[i] = static_cast<float>(i % 17) * 0.01f - 0.08f;
  return buffer;
}

/// Body(first row, rows) of each slice.
template <class Body>
void for_each_slice(const Sizes& s, const Body& body) {
  for (std::int64_t begin = 0; begin < s.N; begin += s.slice) body(begin, std::min(s.slice, s.N - begin));
}

template <class Body>
void for_each_tile(const Sizes& s, const Body& body) {
  for (std::int64_t begin = 0; begin < s.G * s.H; begin += s.tile()) body(begin, std::min(begin + s.tile(), s.G * s.H));
}

/// A layer with the tensors of a batch.
class LayerRun {
 public:
  LayerRun(const Registry& registry, const std::string& type, const Sizes& s)
      : s_(s), layer_(make(registry, type, s.H)), plan_(layer_.plan({{s.T, s.I}})) {
    per_sample(inputs_, {s.T, s.I}), per_sample(d_inputs_, {s.T, s.I});
    for (const SavedTensor& saved : plan_.saved) per_sample(saved_, saved.sample_shape);
    per_sample(outputs_, plan_.output), per_sample(outputs_, plan_.output);
    none_ = {.data = nullptr, .dims = nullptr, .count = 0, .rank = 0, .dtype = BP_F32};
    parameters_.resize(layer_.type().parameter_count, none_);
    d_parameters_ = parameters_;
    dims_.reserve(2 * plan_.parameters.size());
    for (const PlannedParameter& planned : plan_.parameters) {
      dims_.push_back(planned.shape);
      const auto make_tensor = [&] {
        memory_.push_back(filled(element_count(planned.shape)));
        return bp_tensor{.data = memory_.back().data(),
                         .dims = dims_.back().data(),
                         .count = element_count(planned.shape),
                         .rank = static_cast<std::uint32_t>(planned.shape.size()),
                         .dtype = BP_F32};
      };
      parameters_[static_cast<std::size_t>(planned.declared)] = make_tensor();
      d_parameters_[static_cast<std::size_t>(planned.declared)] = make_tensor();
    }
    prepared_ = filled(plan_.prepared);
    workspace_ = Buffer(plan_.workspace_fixed + plan_.workspace_per_sample * static_cast<std::uint64_t>(s.slice));
    Call call(*this, 0, 0, true, false);
    call.frame.unit_end = plan_.gradient_units;
    layer_.prepare(call.frame);
  }

  void forward(std::int64_t begin, std::int64_t rows) {
    Call call(*this, begin, rows, false, false);
    layer_.forward(call.frame);
  }
  void backward(std::int64_t begin, std::int64_t rows) {
    Call call(*this, begin, rows, true, false);
    layer_.backward(call.frame);
  }
  void weights() {
    for_each_tile(s_, [&](std::int64_t begin, std::int64_t end) {
      Call call(*this, 0, s_.N, false, true);
      call.frame.unit_begin = begin;
      call.frame.unit_end = end;
      layer_.backward(call.frame);
    });
  }

 private:
  struct PerSample {
    Buffer buffer;
    Shape dims;

    bp_tensor rows(std::int64_t begin, std::int64_t count) {
      const std::int64_t size = element_count(dims) / dims[0];
      return {.data = buffer.as<float>() + begin * size,
              .dims = dims.data(),
              .count = count * size,
              .rank = static_cast<std::uint32_t>(dims.size()),
              .dtype = BP_F32};
    }
  };

  struct Call {
    Call(LayerRun& run, std::int64_t begin, std::int64_t rows, bool wants_input, bool wants_parameters) {
      for (PerSample& tensor : run.inputs_) inputs.push_back(tensor.rows(begin, rows));
      for (PerSample& tensor : run.saved_) saved.push_back(tensor.rows(begin, rows));
      for (PerSample& tensor : run.d_inputs_) d_inputs.push_back(wants_input ? tensor.rows(begin, rows) : run.none_);
      nothing.resize(run.parameters_.size(), run.none_);
      frame.struct_size = sizeof(bp_call);
      frame.flags = BP_CALL_TRAINING;
      frame.samples = rows;
      frame.inputs = inputs.data();
      frame.parameters = run.parameters_.data();
      frame.saved = saved.data();
      frame.prepared = run.prepared_.data();
      frame.output = run.outputs_[0].rows(begin, rows);
      frame.delta = run.outputs_[1].rows(begin, rows);
      frame.d_inputs = d_inputs.data();
      frame.d_parameters = wants_parameters ? run.d_parameters_.data() : nothing.data();
      frame.workspace = run.workspace_.data();
      frame.workspace_bytes = run.workspace_.bytes();
      frame.batch_samples = run.s_.N;
    }
    std::vector<bp_tensor> inputs, saved, d_inputs, nothing;
    bp_call frame{};
  };

  static Layer make(const Registry& registry, const std::string& name, std::int64_t units) {
    const auto found = registry.find_layer(name);
    config::Schema schema = config::Schema::map();
    add_attributes(schema, found.type->attributes, found.type->attribute_count);
    const auto yaml = config::parse_value("{units: " + std::to_string(units) + "}", "benchmark");
    return Layer(*found.type, *found.plugin, name, config::validate(yaml, schema), DType::float32);
  }
  void per_sample(std::vector<PerSample>& tensors, Shape shape) const {
    shape.insert(shape.begin(), s_.N);
    tensors.push_back({filled(element_count(shape)), shape});
  }

  Sizes s_;
  Layer layer_;
  LayerPlan plan_;
  std::vector<PerSample> inputs_, d_inputs_, saved_, outputs_;
  bp_tensor none_;
  std::vector<bp_tensor> parameters_, d_parameters_;
  std::vector<Shape> dims_;
  std::vector<Buffer> memory_;
  Buffer prepared_, workspace_;
};

/// The products that the equations ask for, with every operand contiguous.
class BareProducts {
 public:
  explicit BareProducts(const Sizes& s)
      : s_(s),
        x_(filled(s.N * s.T * s.I)),
        sums_(filled(s.N * s.T * s.G * s.H)),
        state_(filled(s.N * s.T * s.H)),
        W_ih_(filled((s.G * s.H + 16) * (s.I + 16))),
        W_hh_(filled((s.G * s.H + 16) * (s.H + 16))),
        d_W_(filled(s.G * s.H * std::max(s.I, s.H))) {}

  void forward(std::int64_t begin, std::int64_t rows) {
    const std::int64_t GH = s_.G * s_.H;
    float* sums = sums_.as<float>() + begin * s_.T * GH;
    product(rows * s_.T, GH, s_.I, x_.as<float>() + begin * s_.T * s_.I, W_ih_, sums);
    for (std::int64_t t = 0; t < s_.T; ++t) product(rows, GH, s_.H, state_.as<float>(), W_hh_, sums);
  }
  void backward(std::int64_t begin, std::int64_t rows) {
    const std::int64_t GH = s_.G * s_.H;
    const float* sums = sums_.as<float>() + begin * s_.T * GH;
    for (std::int64_t t = 1; t < s_.T; ++t) product(rows, s_.H, GH, sums, W_hh_, state_.as<float>());
    product(rows * s_.T, s_.I, GH, sums, W_ih_, x_.as<float>() + begin * s_.T * s_.I);
  }
  void weights() {
    const std::int64_t GH = s_.G * s_.H;
    for_each_tile(s_, [&](std::int64_t begin, std::int64_t end) {
      for (const std::int64_t columns : {s_.I, s_.H})
        matmul<float>(end - begin, columns, s_.N * s_.T, Transpose::yes, sums_.as<float>() + begin, GH, Transpose::no,
                      columns == s_.I ? x_.as<float>() : state_.as<float>(), columns, 1.0f,
                      d_W_.as<float>() + begin * columns, columns);
    });
  }

 private:
  /// B's rows are padded where they would be a multiple of 2 KiB apart.
  static void product(std::int64_t M, std::int64_t N, std::int64_t K, const float* A, const Buffer& B, float* C) {
    matmul<float>(M, N, K, Transpose::no, A, K, Transpose::no, B.as<float>(), N % 512 == 0 ? N + 16 : N, 0.0f, C, N);
  }

  Sizes s_;
  Buffer x_, sums_, state_, W_ih_, W_hh_, d_W_;
};

/// Of processor time of this thread, which others on the machine do not lengthen.
template <class Body>
double seconds(const Body& body) {
  const auto now = [] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  };
  const double start = now();
  body();
  return now() - start;
}

/// Seconds of forward, backward, weights and all: a slice forward and back, then the next, as in training.
template <class Run>
std::array<double, 4> turn(Run& run, const Sizes& s) {
  std::array<double, 4> times{};
  for_each_slice(s, [&](std::int64_t begin, std::int64_t rows) {
    times[0] += seconds([&] { run.forward(begin, rows); });
    times[1] += seconds([&] { run.backward(begin, rows); });
  });
  times[2] = seconds([&] { run.weights(); });
  times[3] = times[0] + times[1] + times[2];
  return times;
}

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}

void recurrent(benchmark::State& state, const std::string& type, const Sizes& s) {
  omp_set_num_threads(1);
  static const Registry registry = [] {
    Registry loaded;
    loaded.load(BP_PLUGIN_DIR "/recurrent.bp.so");
    return loaded;
  }();
  LayerRun layer(registry, type, s);
  BareProducts bare(s);
  std::vector<double> shares[4];
  turn(layer, s), turn(bare, s);  // primitives are made by the first calls
  for (auto _ : state) {
    const auto l = turn(layer, s), b = turn(bare, s);
    for (std::size_t i = 0; i < 4; ++i) shares[i].push_back(100 * b[i] / l[i]);
    state.SetIterationTime(l[3]);
  }
  state.counters["share"] = quantile(shares[3], 0.5);
  state.counters["low"] = quantile(shares[3], 0.25);
  state.counters["high"] = quantile(shares[3], 0.75);
  state.counters["forward"] = quantile(shares[0], 0.5);
  state.counters["backward"] = quantile(shares[1], 0.5);
  state.counters["weights"] = quantile(shares[2], 0.5);
}

const bool kRegistered = [] {
  for (const std::string type : {"rnn", "lstm", "gru"})
    for (const auto& [H, I, T] : {std::array<std::int64_t, 3>{128, 28, 28}, {256, 256, 64}, {512, 512, 28}})
      for (const std::int64_t slice : {16, 64}) {
        const std::string name = type + " H " + std::to_string(H) + " I " + std::to_string(I) + " T " +
                                 std::to_string(T) + " N 64, slices of " + std::to_string(slice);
        const Sizes s{type == "rnn" ? 1 : type == "lstm" ? 4 : 3, H, I, T, 64, slice};
        benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) { recurrent(state, type, s); })
            ->UseManualTime()
            ->Unit(benchmark::kMillisecond);
      }
  return true;
}();

}  // namespace
}  // namespace backplane
