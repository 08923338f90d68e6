#include "limits.h"

#include <cstring>

#include "bare_convolution.h"
#include "kernels/matmul.h"
#include "measure.h"

namespace backplane {

namespace {

using kernels::matmul;
using kernels::padded_leading;
using kernels::Transpose;

Buffer padded(std::int64_t rows, std::int64_t columns) {
  return filled(rows * padded_leading(columns));
}
/// C (M, N) = A (M, K) · B (K, N), B padded.
void product(std::int64_t M, std::int64_t N, std::int64_t K, const float* A, const Buffer& B, float* C) {
  matmul<float>(M, N, K, Transpose::no, A, K, Transpose::no, B.as<float>(), padded_leading(N), 0.0f, C, N);
}
/// Columns [begin, end) of δ (rows, units) with a (rows, columns), added to d_W (units, columns).
void tile_product(std::int64_t begin, std::int64_t end, std::int64_t units, std::int64_t columns, std::int64_t rows,
                  const Buffer& delta, const Buffer& a, Buffer& d_W) {
  matmul<float>(end - begin, columns, rows, Transpose::yes, delta.as<float>() + begin, units, Transpose::no,
                a.as<float>(), columns, 1.0f, d_W.as<float>() + begin * columns, columns);
}

class DenseProducts : public Work {
 public:
  explicit DenseProducts(const LayerRun& layer)
      : N_(layer.cut().N),
        O_(layer.plan().parameters[0].shape[0]),
        I_(layer.plan().parameters[0].shape[1]),
        positions_(element_count(layer.plan().output) / O_),
        a_(filled(N_ * positions_ * I_)),
        d_a_(filled(N_ * positions_ * I_)),
        z_(filled(N_ * positions_ * O_)),
        delta_(filled(N_ * positions_ * O_)),
        Wt_(padded(I_, O_)),
        W_(padded(O_, I_)),
        d_W_(filled(O_ * I_)) {}

  void forward(std::int64_t begin, std::int64_t rows) override {
    const std::int64_t at = begin * positions_;
    product(rows * positions_, O_, I_, a_.as<float>() + at * I_, Wt_, z_.as<float>() + at * O_);
  }
  void backward(std::int64_t begin, std::int64_t rows) override {
    const std::int64_t at = begin * positions_;
    product(rows * positions_, I_, O_, delta_.as<float>() + at * O_, W_, d_a_.as<float>() + at * I_);
  }
  void weights() override {
    Cut::for_each_tile(O_, [&](std::int64_t begin, std::int64_t end) {
      tile_product(begin, end, O_, I_, N_ * positions_, delta_, a_, d_W_);
    });
  }

 private:
  std::int64_t N_, O_, I_, positions_;
  Buffer a_, d_a_, z_, delta_, Wt_, W_, d_W_;
};

class RecurrentProducts : public Work {
 public:
  explicit RecurrentProducts(const LayerRun& layer)
      : N_(layer.cut().N),
        T_(layer.what().inputs[0][0]),
        I_(layer.what().inputs[0][1]),
        GH_(layer.plan().parameters[1].shape[0]),
        H_(layer.plan().parameters[1].shape[1]),
        x_(filled(N_ * T_ * I_)),
        sums_(filled(N_ * T_ * GH_)),
        state_(filled(N_ * T_ * H_)),
        Wt_ih_(padded(I_, GH_)),
        Wt_hh_(padded(H_, GH_)),
        W_ih_(padded(GH_, I_)),
        W_hh_(padded(GH_, H_)),
        d_W_ih_(filled(GH_ * I_)),
        d_W_hh_(filled(GH_ * H_)) {}

  void forward(std::int64_t begin, std::int64_t rows) override {
    float* sums = sums_.as<float>() + begin * T_ * GH_;
    product(rows * T_, GH_, I_, x_.as<float>() + begin * T_ * I_, Wt_ih_, sums);
    for (std::int64_t t = 0; t < T_; ++t) product(rows, GH_, H_, state_.as<float>(), Wt_hh_, sums);
  }
  void backward(std::int64_t begin, std::int64_t rows) override {
    const float* sums = sums_.as<float>() + begin * T_ * GH_;
    for (std::int64_t t = 1; t < T_; ++t) product(rows, H_, GH_, sums, W_hh_, state_.as<float>());
    product(rows * T_, I_, GH_, sums, W_ih_, x_.as<float>() + begin * T_ * I_);
  }
  void weights() override {
    Cut::for_each_tile(GH_, [&](std::int64_t begin, std::int64_t end) {
      tile_product(begin, end, GH_, I_, N_ * T_, sums_, x_, d_W_ih_);
      tile_product(begin, end, GH_, H_, N_ * T_, sums_, state_, d_W_hh_);
    });
  }

 private:
  std::int64_t N_, T_, I_, GH_, H_;
  Buffer x_, sums_, state_, Wt_ih_, Wt_hh_, W_ih_, W_hh_, d_W_ih_, d_W_hh_;
};

class AttentionProducts : public Work {
 public:
  AttentionProducts(const LayerRun& layer, std::int64_t heads)
      : T_(layer.what().inputs[0][0]),
        E_(layer.what().inputs[0][1]),
        heads_(heads),
        a_(filled(layer.cut().N * T_ * E_)),
        c_(filled(layer.cut().N * T_ * E_)),
        z_(filled(layer.cut().N * T_ * E_)),
        qkv_(filled(layer.cut().N * T_ * 3 * E_)),
        A_(filled(layer.cut().N * heads * T_ * T_)),
        Wt_qkv_(padded(E_, 3 * E_)),
        W_qkv_(padded(3 * E_, E_)),
        W_out_(padded(E_, E_)),
        d_W_(filled(3 * E_ * E_)) {}

  void forward(std::int64_t begin, std::int64_t rows) override {
    product(rows * T_, 3 * E_, E_, at(a_, begin, E_), Wt_qkv_, at(qkv_, begin, 3 * E_));
    for_each_head(begin, rows, [&](const float* q, const float* k, const float* v, float* A, float* c) {
      times(T_, T_, d(), Transpose::no, q, Transpose::yes, k, A);
      times(T_, d(), T_, Transpose::no, A, Transpose::no, v, c);
    });
    product(rows * T_, E_, E_, at(c_, begin, E_), W_out_, at(z_, begin, E_));
  }
  /// To the inputs and to the parameters.
  void backward(std::int64_t begin, std::int64_t rows) override {
    product(rows * T_, E_, E_, at(z_, begin, E_), W_out_, at(c_, begin, E_));
    for_each_head(begin, rows, [&](float* q, float* k, float* v, float* A, const float* c) {
      times(T_, d(), T_, Transpose::yes, A, Transpose::no, c, v);
      times(T_, T_, d(), Transpose::no, c, Transpose::yes, v, A);
      times(T_, d(), T_, Transpose::no, A, Transpose::no, k, q);
      times(T_, d(), T_, Transpose::yes, A, Transpose::no, q, k);
    });
    product(rows * T_, E_, 3 * E_, at(qkv_, begin, 3 * E_), W_qkv_, at(a_, begin, E_));
    times(3 * E_, E_, rows * T_, Transpose::yes, at(qkv_, begin, 3 * E_), Transpose::no, at(a_, begin, E_),
          d_W_.as<float>());
    times(E_, E_, rows * T_, Transpose::yes, at(z_, begin, E_), Transpose::no, at(c_, begin, E_), d_W_.as<float>());
  }

 private:
  std::int64_t d() const { return E_ / heads_; }
  float* at(Buffer& buffer, std::int64_t row, std::int64_t columns) const {
    return buffer.as<float>() + row * T_ * columns;
  }
  /// body(q, k, v, A, c) of each head of each sample, as if they lay one behind another.
  template <class Body>
  void for_each_head(std::int64_t begin, std::int64_t rows, const Body& body) {
    for (std::int64_t head = begin * heads_; head < (begin + rows) * heads_; ++head) {
      float* q = qkv_.as<float>() + head * 3 * T_ * d();
      body(q, q + T_ * d(), q + 2 * T_ * d(), A_.as<float>() + head * T_ * T_, c_.as<float>() + head * T_ * d());
    }
  }
  static void times(std::int64_t M, std::int64_t N, std::int64_t K, Transpose a, const float* A, Transpose b,
                    const float* B, float* C) {
    matmul<float>(M, N, K, a, A, a == Transpose::no ? K : M, b, B, b == Transpose::no ? N : K, 0.0f, C, N);
  }

  std::int64_t T_, E_, heads_;
  Buffer a_, c_, z_, qkv_, A_, Wt_qkv_, W_qkv_, W_out_, d_W_;
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
  return {"matmul", [](const LayerRun& layer) { return std::make_unique<DenseProducts>(layer); }};
}

Limit recurrent_products() {
  return {"matmul", [](const LayerRun& layer) { return std::make_unique<RecurrentProducts>(layer); }};
}

Limit attention_products(std::int64_t heads) {
  return {"matmul", [=](const LayerRun& layer) { return std::make_unique<AttentionProducts>(layer, heads); }};
}

Limit bare_convolution(const kernels::Convolution& shape, bool is_transposed) {
  return {"oneDNN",
          [=](const LayerRun& layer) { return std::make_unique<BareConvolutions>(layer, shape, is_transposed); }};
}

Limit copy(bool gathered) {
  return {"copy", [=](const LayerRun& layer) { return std::make_unique<Copy>(layer, gathered); }};
}

}  // namespace backplane
