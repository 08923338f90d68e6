#pragma once

#include <deque>
#include <string>
#include <vector>

#include "layer_pass/layer_call.h"
#include "plugin_host/layer.h"
#include "plugin_host/registry.h"
#include "tensor/buffer.h"
#include "trainer/tile.h"

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
    constexpr std::int64_t kLeastUnits = 32;  // where the layer is all of its network
    for_each_part(units, kTilesPerLayer, kLeastUnits, body);
  }
};

/// What is to be timed.
struct LayerCase {
  std::string type, attributes;  ///< YAML, "{units: 512}"
  std::vector<Shape> inputs;     ///< of one sample
  std::int64_t indices = 0;      ///< inputs are whole numbers below; 0: any numbers
  bool is_split = false;         ///< gradients of inputs and of parameters share no work: asked for apart
};

/// A layer of float32 with the tensors of a batch, called as the executor does. Nothing is allocated in a timed call.
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
    std::int64_t size = 0;  ///< of one sample
    float* row(std::int64_t begin) { return buffer.as<float>() + begin * size; }
  };

  PerSample per_sample(const Shape& sample) const;
  /// A call on these rows with every tensor of the layer.
  LayerCall& begin_call(std::int64_t begin, std::int64_t rows);
  void want_d_parameters();

  LayerCase what_;
  Cut cut_;
  Layer layer_;
  LayerPlan plan_;
  std::vector<PerSample> inputs_, d_inputs_, saved_;
  PerSample output_, delta_;
  std::deque<Buffer> parameters_, d_parameters_, state_;
  std::vector<double> forward_sums_, backward_sums_, part_;
  Buffer packed_, workspace_;
  LayerCall call_;
};

}  // namespace backplane
