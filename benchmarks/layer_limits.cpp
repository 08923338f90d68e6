#include "layer_limits.h"

#include <cstring>
#include <vector>

#include "bare_convolution.h"
#include "bare_product.h"
#include "measure.h"

namespace backplane {

namespace {

using kernels::padded_leading;
using kernels::Transpose;

Buffer padded(std::int64_t rows, std::int64_t columns) {
  return filled(rows * padded_leading(columns));
}
/// C (M, N) = A (M, K) · B (K, N), B padded.
BareProduct product(std::int64_t M, std::int64_t N, std::int64_t K) {
  return {M, N, K, {Transpose::no, K}, {Transpose::no, padded_leading(N)}};
}

/// d_W (units, columns) += δᵀ·a over `rows` rows, tile by tile.
class TiledProduct {
 public:
  TiledProduct(std::int64_t units, std::int64_t columns, std::int64_t rows)
      : units_(units), columns_(columns), d_W_(filled(units * columns)) {
    Cut::for_each_tile(units, [&](std::int64_t begin, std::int64_t end) {
      tiles_.emplace_back(end - begin, columns, rows, BareProduct::Operand{Transpose::yes, units},
                          BareProduct::Operand{Transpose::no, columns});
    });
  }
  void run(const Buffer& delta, const Buffer& a) {
    std::size_t tile = 0;
    Cut::for_each_tile(units_, [&](std::int64_t begin, std::int64_t) {
      tiles_[tile++].run(delta.as<float>() + begin, a.as<float>(), d_W_.as<float>() + begin * columns_);
    });
  }

 private:
  std::int64_t units_, columns_;
  Buffer d_W_;
  std::vector<BareProduct> tiles_;
};

class DenseProducts : public Work {
 public:
  explicit DenseProducts(const LayerRun& layer)
      : O_(layer.plan().parameters[0].shape[0]),
        I_(layer.plan().parameters[0].shape[1]),
        positions_(element_count(layer.plan().output) / O_),
        a_(filled(rows(layer) * I_)),
        d_a_(filled(rows(layer) * I_)),
        z_(filled(rows(layer) * O_)),
        delta_(filled(rows(layer) * O_)),
        Wt_(padded(I_, O_)),
        W_(padded(O_, I_)),
        forward_(product(layer.cut().slice * positions_, O_, I_)),
        backward_(product(layer.cut().slice * positions_, I_, O_)),
        weights_(O_, I_, rows(layer)) {}

  void forward(std::int64_t begin, std::int64_t) override {
    const std::int64_t at = begin * positions_;
    forward_.run(a_.as<float>() + at * I_, Wt_.as<float>(), z_.as<float>() + at * O_);
  }
  void backward(std::int64_t begin, std::int64_t) override {
    const std::int64_t at = begin * positions_;
    backward_.run(delta_.as<float>() + at * O_, W_.as<float>(), d_a_.as<float>() + at * I_);
  }
  void weights() override { weights_.run(delta_, a_); }

 private:
  std::int64_t rows(const LayerRun& layer) const { return layer.cut().N * positions_; }

  std::int64_t O_, I_, positions_;
  Buffer a_, d_a_, z_, delta_, Wt_, W_;
  BareProduct forward_, backward_;
  TiledProduct weights_;
};

class RecurrentProducts : public Work {
 public:
  explicit RecurrentProducts(const LayerRun& layer)
      : T_(layer.what().inputs[0][0]),
        I_(layer.what().inputs[0][1]),
        GH_(layer.plan().parameters[1].shape[0]),
        H_(layer.plan().parameters[1].shape[1]),
        x_(filled(layer.cut().N * T_ * I_)),
        sums_(filled(layer.cut().N * T_ * GH_)),
        state_(filled(layer.cut().N * T_ * H_)),
        Wt_ih_(padded(I_, GH_)),
        Wt_hh_(padded(H_, GH_)),
        W_ih_(padded(GH_, I_)),
        W_hh_(padded(GH_, H_)),
        from_input_(product(layer.cut().slice * T_, GH_, I_)),
        from_state_(product(layer.cut().slice, GH_, H_)),
        to_state_(product(layer.cut().slice, H_, GH_)),
        to_input_(product(layer.cut().slice * T_, I_, GH_)),
        weights_ih_(GH_, I_, layer.cut().N * T_),
        weights_hh_(GH_, H_, layer.cut().N * T_) {}

  void forward(std::int64_t begin, std::int64_t) override {
    float* sums = sums_.as<float>() + begin * T_ * GH_;
    from_input_.run(x_.as<float>() + begin * T_ * I_, Wt_ih_.as<float>(), sums);
    for (std::int64_t t = 0; t < T_; ++t) from_state_.run(state_.as<float>(), Wt_hh_.as<float>(), sums);
  }
  void backward(std::int64_t begin, std::int64_t) override {
    const float* sums = sums_.as<float>() + begin * T_ * GH_;
    for (std::int64_t t = 1; t < T_; ++t) to_state_.run(sums, W_hh_.as<float>(), state_.as<float>());
    to_input_.run(sums, W_ih_.as<float>(), x_.as<float>() + begin * T_ * I_);
  }
  void weights() override { weights_ih_.run(sums_, x_), weights_hh_.run(sums_, state_); }

 private:
  std::int64_t T_, I_, GH_, H_;
  Buffer x_, sums_, state_, Wt_ih_, Wt_hh_, W_ih_, W_hh_;
  BareProduct from_input_, from_state_, to_state_, to_input_;
  TiledProduct weights_ih_, weights_hh_;
};

class AttentionProducts : public Work {
 public:
  AttentionProducts(const LayerRun& layer, std::int64_t heads)
      : T_(layer.what().inputs[0][0]),
        E_(layer.what().inputs[0][1]),
        d_(E_ / heads),
        heads_(heads),
        a_(filled(layer.cut().N * T_ * E_)),
        c_(filled(layer.cut().N * T_ * E_)),
        z_(filled(layer.cut().N * T_ * E_)),
        qkv_(filled(layer.cut().N * T_ * 3 * E_)),
        A_(filled(layer.cut().N * heads * T_ * T_)),
        Wt_qkv_(padded(E_, 3 * E_)),
        W_qkv_(padded(3 * E_, E_)),
        W_out_(padded(E_, E_)),
        d_W_(filled(3 * E_ * E_)),
        to_qkv_(product(layer.cut().slice * T_, 3 * E_, E_)),
        from_qkv_(product(layer.cut().slice * T_, E_, 3 * E_)),
        out_(product(layer.cut().slice * T_, E_, E_)),
        scores_(T_, T_, d_, {Transpose::no, d_}, {Transpose::yes, d_}),
        mix_(T_, d_, T_, {Transpose::no, T_}, {Transpose::no, d_}),
        mix_back_(T_, d_, T_, {Transpose::yes, T_}, {Transpose::no, d_}),
        weights_qkv_(3 * E_, E_, layer.cut().slice * T_, {Transpose::yes, 3 * E_}, {Transpose::no, E_}, true),
        weights_out_(E_, E_, layer.cut().slice * T_, {Transpose::yes, E_}, {Transpose::no, E_}, true) {}

  void forward(std::int64_t begin, std::int64_t rows) override {
    to_qkv_.run(at(a_, begin, E_), Wt_qkv_.as<float>(), at(qkv_, begin, 3 * E_));
    for_each_head(begin, rows, [&](const float* q, const float* k, const float* v, float* A, float* c) {
      scores_.run(q, k, A);
      mix_.run(A, v, c);
    });
    out_.run(at(c_, begin, E_), W_out_.as<float>(), at(z_, begin, E_));
  }
  /// To the inputs and to the parameters.
  void backward(std::int64_t begin, std::int64_t rows) override {
    out_.run(at(z_, begin, E_), W_out_.as<float>(), at(c_, begin, E_));
    for_each_head(begin, rows, [&](float* q, float* k, float* v, float* A, const float* c) {
      mix_back_.run(A, c, v);
      scores_.run(c, v, A);
      mix_.run(A, k, q);
      mix_back_.run(A, q, k);
    });
    from_qkv_.run(at(qkv_, begin, 3 * E_), W_qkv_.as<float>(), at(a_, begin, E_));
    weights_qkv_.run(at(qkv_, begin, 3 * E_), at(a_, begin, E_), d_W_.as<float>());
    weights_out_.run(at(z_, begin, E_), at(c_, begin, E_), d_W_.as<float>());
  }

 private:
  float* at(Buffer& buffer, std::int64_t row, std::int64_t columns) const {
    return buffer.as<float>() + row * T_ * columns;
  }
  /// body(q, k, v, A, c) of each head of each sample, as if they lay one behind another.
  template <class Body>
  void for_each_head(std::int64_t begin, std::int64_t rows, const Body& body) {
    for (std::int64_t head = begin * heads_; head < (begin + rows) * heads_; ++head) {
      float* q = qkv_.as<float>() + head * 3 * T_ * d_;
      body(q, q + T_ * d_, q + 2 * T_ * d_, A_.as<float>() + head * T_ * T_, c_.as<float>() + head * T_ * d_);
    }
  }

  std::int64_t T_, E_, d_, heads_;
  Buffer a_, c_, z_, qkv_, A_, Wt_qkv_, W_qkv_, W_out_, d_W_;
  BareProduct to_qkv_, from_qkv_, out_, scores_, mix_, mix_back_, weights_qkv_, weights_out_;
};

class BareConvolutions : public Work {
 public:
  using Kernel = BareConvolution::Kernel;

  BareConvolutions(const LayerRun& layer, const kernels::Convolution& shape, bool is_transposed)
      : shape_(shape),
        cut_(layer.cut()),
        is_transposed_(is_transposed),
        a_(filled(cut_.N * shape.input_pixels() * shape.inputs)),
        d_a_(filled(cut_.N * shape.input_pixels() * shape.inputs)),
        z_(filled(cut_.N * shape.output_pixels() * shape.outputs)),
        delta_(filled(cut_.N * shape.output_pixels() * shape.outputs)),
        there_(shape, cut_.slice, Kernel::forward, !is_transposed),
        back_(shape, cut_.slice, Kernel::backward_inputs, false),
        weights_(shape, cut_.slice, Kernel::backward_weights, !is_transposed) {}

  void forward(std::int64_t begin, std::int64_t) override {
    (is_transposed_ ? back_ : there_).run(image(a_, begin), pixels(z_, begin));
  }
  void backward(std::int64_t begin, std::int64_t) override {
    (is_transposed_ ? there_ : back_).run(image(d_a_, begin), pixels(delta_, begin));
  }
  void weights() override {
    cut_.for_each_slice(
        [&](std::int64_t begin, std::int64_t) { weights_.run(image(a_, begin), pixels(delta_, begin)); });
  }

 private:
  float* image(Buffer& buffer, std::int64_t n) const {
    return buffer.as<float>() + n * shape_.input_pixels() * shape_.inputs;
  }
  float* pixels(Buffer& buffer, std::int64_t n) const {
    return buffer.as<float>() + n * shape_.output_pixels() * shape_.outputs;
  }

  kernels::Convolution shape_;
  Cut cut_;
  bool is_transposed_;
  Buffer a_, d_a_, z_, delta_;
  BareConvolution there_, back_, weights_;
};

class Copy : public Work {
 public:
  Copy(const LayerRun& layer, bool gathered) : cut_(layer.cut()) {
    const LayerPlan& plan = layer.plan();
    std::int64_t inputs = 0, saved = 0;
    for (const Shape& input : layer.what().inputs) inputs += element_count(input);
    for (const SavedTensor& tensor : plan.saved) saved += element_count(tensor.sample_shape);
    const std::int64_t output = element_count(plan.output);
    const std::int64_t needed = output + saved + ((plan.needs & BP_NEEDS_INPUTS) != 0 ? inputs : 0) +
                                ((plan.needs & BP_NEEDS_OUTPUT) != 0 ? output : 0);  // δ first
    collect_forward_ = plan.forward_sums > 0 ? inputs : 0;
    forward_ = inputs + output + saved + (gathered ? output : 0);
    collect_backward_ = plan.backward_sums > 0 ? needed : 0;
    backward_ = inputs + (gathered ? 0 : plan.gradient_units > 0 ? output : needed);  // an index has no slope
    weights_ = layer.has_weights() ? needed + (gathered ? 2 * output : 0) : 0;
    const std::int64_t most = std::max({forward_, backward_, weights_, collect_backward_});
    from_ = filled(cut_.N * most), to_ = filled(cut_.N * most);
  }

  void collect_forward(std::int64_t begin, std::int64_t rows) override { move(begin, rows, collect_forward_); }
  void forward(std::int64_t begin, std::int64_t rows) override { move(begin, rows, forward_); }
  void collect_backward(std::int64_t begin, std::int64_t rows) override { move(begin, rows, collect_backward_); }
  void backward(std::int64_t begin, std::int64_t rows) override { move(begin, rows, backward_); }
  void weights() override { move(0, cut_.N, weights_); }

 private:
  /// Half of `elements` of each row is read, the other half written.
  void move(std::int64_t begin, std::int64_t rows, std::int64_t elements) {
    std::memcpy(to_.as<float>() + begin * elements / 2, from_.as<float>() + begin * elements / 2,
                static_cast<std::size_t>(rows * elements / 2) * sizeof(float));
  }

  Cut cut_;
  std::int64_t collect_forward_, forward_, collect_backward_, backward_, weights_;
  Buffer from_, to_;
};

}  // namespace

Limit dense_products() {
  return {"oneDNN", [](const LayerRun& layer) { return std::make_unique<DenseProducts>(layer); }};
}

Limit recurrent_products() {
  return {"oneDNN", [](const LayerRun& layer) { return std::make_unique<RecurrentProducts>(layer); }};
}

Limit attention_products(std::int64_t heads) {
  return {"oneDNN", [=](const LayerRun& layer) { return std::make_unique<AttentionProducts>(layer, heads); }};
}

Limit bare_convolution(const kernels::Convolution& shape, bool is_transposed) {
  return {"oneDNN",
          [=](const LayerRun& layer) { return std::make_unique<BareConvolutions>(layer, shape, is_transposed); }};
}

Limit copy(bool gathered) {
  return {"copy", [=](const LayerRun& layer) { return std::make_unique<Copy>(layer, gathered); }};
}

}  // namespace backplane
