// Every layer of the built-in plug-ins on one thread, called as the executor calls it (slices, then tiles of the
// weights), beside the least work of the same sizes that bounds it. Layer and limit take turns; `share` is the median
// over the turns of time(limit) / time(layer) in percent, [`low`, `high`] the quartiles.

#include <benchmark/benchmark.h>
#include <omp.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <set>
#include <string>
#include <vector>

#include "bare_convolution.h"
#include "built_in.h"
#include "child_jobs/child_jobs.h"
#include "layer_run.h"
#include "layer_limits.h"
#include "measure.h"

namespace backplane {
namespace {

using kernels::Axis;
using kernels::Convolution;

struct Entry {
  LayerCase layer;
  Limit limit;
};

std::string text(std::int64_t number) {
  return std::to_string(number);
}

Entry dense(std::int64_t units, const Shape& input, bool flatten = true) {
  return {{.type = "dense",
           .attributes = "{units: " + text(units) + (flatten ? "}" : ", flatten: false}"),
           .inputs = {input}},
          dense_products()};
}

Entry recurrent(const std::string& type, std::int64_t H, std::int64_t I, std::int64_t T) {
  return {{.type = type, .attributes = "{units: " + text(H) + "}", .inputs = {{T, I}}}, recurrent_products()};
}

Entry conv2d(std::int64_t side, std::int64_t inputs, std::int64_t filters, std::int64_t kernel, std::int64_t stride = 1,
             std::int64_t groups = 1) {
  const std::int64_t out = (side + stride - 1) / stride, around = (out - 1) * stride + kernel - side;
  const Axis axis{
      .in = side, .out = out, .kernel = kernel, .stride = stride, .before = around / 2, .after = around - around / 2};
  return {{.type = "conv2d",
           .attributes = "{filters: " + text(filters) + ", kernel: [" + text(kernel) + "], padding: same" +
                         (stride > 1 ? ", stride: [" + text(stride) + "]" : "") +
                         (groups > 1 ? ", groups: " + text(groups) : "") + "}",
           .inputs = {{side, side, inputs}},
           .is_split = true},
          bare_convolution({.inputs = inputs, .outputs = filters, .groups = groups, .height = axis, .width = axis})};
}

Entry bound_by_memory(LayerCase layer) {
  return {std::move(layer), copy()};
}

/// Realistic sizes of every type. A layer that is added to a built-in plug-in belongs here: see main().
std::vector<Entry> table() {
  const Shape image{28, 28, 32}, sequence{64, 256};
  std::vector<Entry> entries{
      dense(512, {784}),
      dense(256, {512}),
      dense(512, {512}),
      dense(256, sequence, false),
      conv2d(28, 1, 32, 5),
      conv2d(14, 32, 64, 5),
      conv2d(28, 32, 32, 3),
      conv2d(14, 64, 64, 3),
      conv2d(28, 32, 64, 3, 2),
      conv2d(28, 32, 32, 3, 1, 32),
      {{.type = "conv1d",
        .attributes = "{filters: 128, kernel: [5], padding: causal}",
        .inputs = {{64, 64}},
        .is_split = true},
       bare_convolution({.inputs = 64, .outputs = 128, .width = {.in = 64, .out = 64, .kernel = 5, .before = 4}})},
      {{.type = "conv_transpose2d",
        .attributes = "{filters: 64, kernel: [4], stride: [2], padding: '1'}",
        .inputs = {{7, 7, 128}},
        .is_split = true},
       bare_convolution({.inputs = 64,
                         .outputs = 128,
                         .height = {.in = 14, .out = 7, .kernel = 4, .stride = 2, .before = 1, .after = 1},
                         .width = {.in = 14, .out = 7, .kernel = 4, .stride = 2, .before = 1, .after = 1}},
                        true)},
      {{.type = "attention", .attributes = "{heads: 4}", .inputs = {{64, 128}}}, attention_products(4)},
      {{.type = "attention", .attributes = "{heads: 8}", .inputs = {{128, 256}}}, attention_products(8)},
      bound_by_memory({.type = "max_pool2d", .attributes = "{kernel: [2]}", .inputs = {image}}),
      bound_by_memory({.type = "max_pool2d", .attributes = "{kernel: [3], stride: [2]}", .inputs = {image}}),
      bound_by_memory({.type = "avg_pool2d", .attributes = "{kernel: [2]}", .inputs = {image}}),
      bound_by_memory({.type = "global_avg_pool", .attributes = "{}", .inputs = {{14, 14, 128}}}),
      bound_by_memory({.type = "batch_norm", .attributes = "{}", .inputs = {image}}),
      bound_by_memory({.type = "layer_norm", .attributes = "{}", .inputs = {sequence}}),
      bound_by_memory({.type = "dropout", .attributes = "{rate: 0.5}", .inputs = {sequence}}),
      bound_by_memory({.type = "add", .attributes = "{}", .inputs = {image, image}}),
      bound_by_memory({.type = "multiply", .attributes = "{}", .inputs = {image, image}}),
      bound_by_memory({.type = "scale", .attributes = "{}", .inputs = {image}}),
      bound_by_memory({.type = "flatten", .attributes = "{}", .inputs = {image}}),
      bound_by_memory({.type = "reshape", .attributes = "{shape: [784, 32]}", .inputs = {image}}),
      bound_by_memory({.type = "zero_pad", .attributes = "{padding: [2]}", .inputs = {image}}),
      bound_by_memory({.type = "concat", .attributes = "{}", .inputs = {image, image}}),
      {{.type = "embedding", .attributes = "{vocabulary: 10000, units: 256}", .inputs = {{64}}, .indices = 10000},
       copy(true)},
      bound_by_memory({.type = "position_embedding", .attributes = "{}", .inputs = {sequence}}),
  };
  for (const char* type : {"rnn", "lstm", "gru"})
    for (const auto& [H, I, T] :
         {std::array<std::int64_t, 3>{128, 28, 28}, {128, 128, 64}, {256, 28, 28}, {256, 256, 64}, {512, 512, 28}})
      entries.push_back(recurrent(type, H, I, T));
  return entries;
}

/// Seconds of forward, backward, weights and all: a slice forward and back, then the next, as in training; where slices
/// wait for sums over the batch, all of them together as far as they go.
std::array<double, 4> turn(Work& work, const LayerRun& layer) {
  std::array<double, 4> times{};
  const bool has_sums = layer.plan().has_batch_sums();
  if (has_sums)
    layer.cut().for_each_slice([&](std::int64_t begin, std::int64_t rows) {
      times[0] += seconds([&] { work.collect_forward(begin, rows); });
    });
  layer.cut().for_each_slice([&](std::int64_t begin, std::int64_t rows) {
    times[0] += seconds([&] { work.forward(begin, rows); });
    times[1] += seconds([&] { has_sums ? work.collect_backward(begin, rows) : work.backward(begin, rows); });
  });
  if (has_sums)
    layer.cut().for_each_slice(
        [&](std::int64_t begin, std::int64_t rows) { times[1] += seconds([&] { work.backward(begin, rows); }); });
  if (layer.has_weights()) times[2] = seconds([&] { work.weights(); });
  times[3] = times[0] + times[1] + times[2];
  return times;
}

void measure(benchmark::State& state, const Registry& registry, const Entry& entry, const Cut& cut) {
  LayerRun layer(registry, entry.layer, cut);
  const auto limit = entry.limit.make(layer);
  std::vector<double> shares[4];
  turn(layer, layer), turn(*limit, layer);  // primitives are made by the first calls
  for (auto _ : state) {
    const auto l = turn(layer, layer), b = turn(*limit, layer);
    for (std::size_t i = 0; i < 4; ++i) shares[i].push_back(100 * b[i] / std::max(l[i], 1e-9));
    state.SetIterationTime(l[3]);
  }
  state.counters["share"] = quantile(shares[3], 0.5);
  state.counters["low"] = quantile(shares[3], 0.25);
  state.counters["high"] = quantile(shares[3], 0.75);
  state.counters["forward"] = quantile(shares[0], 0.5);
  state.counters["backward"] = quantile(shares[1], 0.5);
  if (layer.has_weights()) state.counters["weights"] = quantile(shares[2], 0.5);
}

/// "dense [784] {units: 512} slices of 16/matmul"
std::string name_of(const Entry& entry, const Cut& cut) {
  std::string name = entry.layer.type;
  for (const Shape& input : entry.layer.inputs) name += " " + to_string(input);
  return name + " " + entry.layer.attributes + " slices of " + text(cut.slice) + "/" + entry.limit.name;
}

/// The layer types that have no entry, so that a new layer is not forgotten.
std::set<std::string> missing(const Registry& registry, const std::vector<Entry>& entries) {
  std::set<std::string> types;
  for (const Library& library : registry.libraries())
    for (const bp_layer_type& type : library.layers) types.insert(type.name);
  for (const Entry& entry : entries) types.erase(entry.layer.type);
  return types;
}

}  // namespace
}  // namespace backplane

int main(int argc, char** argv) {
  using namespace backplane;
  do_job_of_parent(argc, argv, child_jobs());
  omp_set_num_threads(1);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 64;
  try {
    const Registry registry = built_in();
    const std::vector<Entry> entries = table();
    const auto types = missing(registry, entries);
    for (const std::string& type : types)
      std::fprintf(stderr, "layer type '%s' is not in table() of %s\n", type.c_str(), __FILE__);
    if (!types.empty()) return 1;
    for (const Entry& entry : entries)
      for (const Cut cut : {Cut{.N = 64, .slice = 16}, Cut{.N = 64, .slice = 64}})
        benchmark::RegisterBenchmark(
            name_of(entry, cut).c_str(),
            [&registry, &entry, cut](benchmark::State& state) { measure(state, registry, entry, cut); })
            ->UseManualTime()
            ->Unit(benchmark::kMillisecond);
    benchmark::RunSpecifiedBenchmarks();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
