#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "plugin_host/layer.h"
#include "plugin_host/registry.h"
#include "tensor/buffer.h"

namespace backplane {

/// The work of one layer on one batch, in the parts that are timed. Slices are rows [begin, begin + rows).
class Work {
 public:
  virtual ~Work() = default;
  virtual void collect_forward(std::int64_t /*begin*/, std::int64_t /*rows*/) {}
  virtual void forward(std::int64_t begin, std::int64_t rows) = 0;
  virtual void collect_backward(std::int64_t /*begin*/, std::int64_t /*rows*/) {}
  virtual void backward(std::int64_t begin, std::int64_t rows) = 0;
  /// Gradients of the parameters for the whole batch, where they are asked for apart.
  virtual void weights() {}
};

/// How a batch is cut into calls, as the executor does it.
struct Cut {
  std::int64_t N = 64, slice = 16;

  template <class Body>
  void for_each_slice(const Body& body) const {
    for (std::int64_t begin = 0; begin < N; begin += slice) body(begin, std::min(slice, N - begin));
  }
  template <class Body>
  static void for_each_tile(std::int64_t units, const Body& body) {
    const std::int64_t tile = std::max<std::int64_t>(16, (units / 16 + 15) / 16 * 16);
    for (std::int64_t begin = 0; begin < units; begin += tile) body(begin, std::min(begin + tile, units));
  }
};

/// What is to be timed.
struct LayerCase {
  std::string type, attributes;  ///< YAML, "{units: 512}"
  std::vector<Shape> inputs;     ///< of one sample
  std::int64_t indices = 0;      ///< inputs are whole numbers below; 0: any numbers
  bool is_split = false;         ///< gradients of inputs and of parameters share no work: asked for apart
};

/// A layer of float32 with the tensors of a batch. All calls are made ready before: nothing is allocated in the timed
/// ones, as nothing is in the executor's.
class LayerRun : public Work {
 public:
  LayerRun(const Registry& registry, const LayerCase& what, const Cut& cut);

  const LayerCase& what() const { return what_; }
  const Cut& cut() const { return cut_; }
  const LayerPlan& plan() const { return plan_; }
  /// Whether weights() has anything to do.
  bool has_weights() const { return plan_.gradient_units > 0 || what_.is_split; }

  void collect_forward(std::int64_t begin, std::int64_t rows) override;
  void forward(std::int64_t begin, std::int64_t rows) override;
  void collect_backward(std::int64_t begin, std::int64_t rows) override;
  /// To the inputs; to the parameters, too, unless weights() does that.
  void backward(std::int64_t begin, std::int64_t rows) override;
  void weights() override;

 private:
  struct PerSample {
    Buffer buffer;
    Shape sample;
  };
  struct Call {
    std::deque<Shape> dims;
    std::vector<bp_tensor> inputs, saved, d_inputs, d_parameters;
    bp_call frame{};
  };

  PerSample per_sample(const Shape& sample) const;
  bp_tensor whole(const Shape& shape);
  std::unique_ptr<Call> call(std::int64_t begin, std::int64_t rows, bool wants_inputs, bool wants_parameters);
  bp_call& slice(const std::vector<std::unique_ptr<Call>>& calls, std::int64_t begin) const {
    return calls[static_cast<std::size_t>(begin / cut_.slice)]->frame;
  }

  LayerCase what_;
  Cut cut_;
  Layer layer_;
  LayerPlan plan_;
  std::vector<PerSample> inputs_, d_inputs_, saved_;
  PerSample output_, delta_;
  std::deque<Shape> dims_;
  std::deque<Buffer> memory_;
  std::vector<bp_tensor> parameters_, d_parameters_, state_;
  std::vector<double> forward_sums_, backward_sums_;
  Buffer prepared_, workspace_;
  std::vector<std::unique_ptr<Call>> slices_, parameter_slices_;
  std::unique_ptr<Call> tile_;
};

}  // namespace backplane
