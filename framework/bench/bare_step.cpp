#include "bench/bare_step.h"

#include <algorithm>

#include "kernels/convolution.h"
#include "kernels/matmul.h"
#include "trainer/tile.h"

namespace backplane {

namespace {

using kernels::matmul;
using kernels::padded_leading;
using kernels::Transpose;

/// Small numbers of both signs, and no two rows alike.
template <class T>
Buffer filled(std::int64_t elements) {
  Buffer buffer(static_cast<std::size_t>(elements) * sizeof(T));
  for (std::int64_t i = 0; i < elements; ++i) buffer.as<T>()[i] = static_cast<T>(i % 17) * T(0.01) - T(0.08);
  return buffer;
}

/// z (rows, O) = a (rows, I) · Wᵀ and what belongs to it, for all rows that the batch has.
template <class T>
class Product {
 public:
  Product(std::int64_t rows, std::int64_t I, std::int64_t O)
      : rows_(rows),
        I_(I),
        O_(O),
        a_(filled<T>(rows * I)),
        z_(filled<T>(rows * O)),
        W_(filled<T>(O * padded_leading(I))),
        Wt_(filled<T>(I * padded_leading(O))),
        d_W_(filled<T>(O * I)) {}

  void forward(std::int64_t begin, std::int64_t rows) {
    matmul<T>(rows, O_, I_, Transpose::no, a(begin), I_, Transpose::no, Wt_.as<T>(), padded_leading(O_), T(0), z(begin),
              O_);
  }
  /// zᵀ = W·aᵀ, as dense does it where a sample is one row.
  void forward_transposed(std::int64_t begin, std::int64_t rows) {
    matmul<T>(O_, rows, I_, Transpose::no, W_.as<T>(), I_, Transpose::yes, a(begin), I_, T(0), z(begin), rows);
  }
  void backward(std::int64_t begin, std::int64_t rows) {
    matmul<T>(rows, I_, O_, Transpose::no, z(begin), O_, Transpose::no, W_.as<T>(), padded_leading(I_), T(0), a(begin),
              I_);
  }
  void weights(std::int64_t begin, std::int64_t end) {
    kernels::outer_products<T>(rows_, end - begin, I_, z(0) + begin, O_, a(0), I_, T(0), d_W_.as<T>() + begin * I_, I_);
  }

 private:
  T* a(std::int64_t row) { return a_.as<T>() + row * I_; }
  T* z(std::int64_t row) { return z_.as<T>() + row * O_; }

  std::int64_t rows_, I_, O_;
  Buffer a_, z_, W_, Wt_, d_W_;
};

template <class T>
class Dense final : public BareStep::Kernels {
 public:
  Dense(const LayerNode& node, std::int64_t batch)
      : positions_(node.output_size / node.parameters[0].shape[0]),
        product_(batch * positions_, node.parameters[0].shape[1], node.parameters[0].shape[0]) {}
  void forward(std::int64_t begin, std::int64_t rows) override {
    if (positions_ == 1)
      product_.forward_transposed(begin, rows);
    else
      product_.forward(begin * positions_, rows * positions_);
  }
  void backward(std::int64_t begin, std::int64_t rows, bool to_inputs) override {
    if (to_inputs) product_.backward(begin * positions_, rows * positions_);
  }
  void weights(std::int64_t begin, std::int64_t end) override { product_.weights(begin, end); }

 private:
  std::int64_t positions_;
  Product<T> product_;
};

/// One direction; W_ih is parameter `first`, W_hh the next.
template <class T>
class Recurrence final : public BareStep::Kernels {
 public:
  Recurrence(const LayerNode& node, std::size_t first, std::int64_t batch)
      : T_(node.input_shapes[0][0]),
        from_input_(batch * T_, node.parameters[first].shape[1], node.parameters[first].shape[0]),
        from_state_(batch * T_, node.parameters[first + 1].shape[1], node.parameters[first + 1].shape[0]) {}
  void forward(std::int64_t begin, std::int64_t rows) override {
    from_input_.forward(begin * T_, rows * T_);
    for (std::int64_t t = 0; t < T_; ++t) from_state_.forward(begin * T_ + t * rows, rows);
  }
  void backward(std::int64_t begin, std::int64_t rows, bool to_inputs) override {
    for (std::int64_t t = T_; t-- > 1;) from_state_.backward(begin * T_ + t * rows, rows);
    if (to_inputs) from_input_.backward(begin * T_, rows * T_);
  }
  void weights(std::int64_t begin, std::int64_t end) override {
    from_input_.weights(begin, end), from_state_.weights(begin, end);
  }

 private:
  std::int64_t T_;
  Product<T> from_input_, from_state_;
};

template <class T>
class Attention final : public BareStep::Kernels {
 public:
  Attention(const LayerNode& node, std::int64_t heads, std::int64_t batch)
      : T_(node.input_shapes[0][0]),
        E_(node.input_shapes[0][1]),
        heads_(heads),
        d_(E_ / heads_),
        qkv_(batch * T_, E_, 3 * E_),
        out_(batch * T_, E_, E_),
        heads_in_(filled<T>(batch * T_ * 3 * E_)),
        heads_out_(filled<T>(batch * T_ * E_)),
        A_(filled<T>(batch * heads_ * T_ * T_)) {}
  void forward(std::int64_t begin, std::int64_t rows) override {
    qkv_.forward(begin * T_, rows * T_);
    for_each_head(begin, rows, [&](T* q, T* k, T* v, T* A, T* c) {
      scores(q, k, A);
      mix(Transpose::no, A, v, c);
    });
    out_.forward(begin * T_, rows * T_);
  }
  void backward(std::int64_t begin, std::int64_t rows, bool to_inputs) override {
    out_.backward(begin * T_, rows * T_);
    for_each_head(begin, rows, [&](T* q, T* k, T* v, T* A, T* c) {
      mix(Transpose::yes, A, c, v);
      scores(c, v, A);
      mix(Transpose::no, A, k, q);
      mix(Transpose::yes, A, q, k);
    });
    if (to_inputs) qkv_.backward(begin * T_, rows * T_);
  }
  void weights(std::int64_t begin, std::int64_t end) override {
    qkv_.weights(3 * begin, 3 * end), out_.weights(begin, end);
  }

 private:
  /// A (T, T) = q·kᵀ
  void scores(const T* q, const T* k, T* A) const {
    matmul<T>(T_, T_, d_, Transpose::no, q, d_, Transpose::yes, k, d_, T(0), A, T_);
  }
  /// to (T, d) = op(A)·from
  void mix(Transpose how, const T* A, const T* from, T* to) const {
    matmul<T>(T_, d_, T_, how, A, T_, Transpose::no, from, d_, T(0), to, d_);
  }
  /// body(q, k, v, A, c) of each head of each sample, as if they lay one behind another.
  template <class Body>
  void for_each_head(std::int64_t begin, std::int64_t rows, const Body& body) {
    for (std::int64_t head = begin * heads_; head < (begin + rows) * heads_; ++head) {
      T* q = heads_in_.as<T>() + head * 3 * T_ * d_;
      body(q, q + T_ * d_, q + 2 * T_ * d_, A_.as<T>() + head * T_ * T_, heads_out_.as<T>() + head * T_ * d_);
    }
  }

  std::int64_t T_, E_, heads_, d_;
  Product<T> qkv_, out_;
  Buffer heads_in_, heads_out_, A_;
};

template <class T>
class Convolution final : public BareStep::Kernels {
 public:
  Convolution(const kernels::Convolution& shape, bool is_transposed, std::int64_t batch, std::int64_t slice_rows)
      : shape_(shape),
        is_transposed_(is_transposed),
        slice_rows_(slice_rows),
        slices_((batch + slice_rows - 1) / slice_rows),
        workspace_bytes_((kernels::convolution_workspace_bytes<T>(shape) + 63) / 64 * 64),
        a_(filled<T>(batch * shape.input_pixels() * shape.inputs)),
        d_a_(filled<T>(batch * shape.input_pixels() * shape.inputs)),
        z_(filled<T>(batch * shape.output_pixels() * shape.outputs)),
        W_(filled<T>(shape.weights())),
        packed_(static_cast<std::size_t>(kernels::convolution_packed_elements<T>(shape)) * sizeof(T)),
        d_W_(filled<T>(slices_ * shape.weights())),
        workspace_(static_cast<std::size_t>(slices_) * workspace_bytes_) {
    kernels::convolution_pack<T>(shape, W_.as<T>(), packed_.as<T>());
  }
  void forward(std::int64_t begin, std::int64_t rows) override {
    is_transposed_ ? back(begin, rows) : there(begin, rows);
  }
  void backward(std::int64_t begin, std::int64_t rows, bool to_inputs) override {
    if (to_inputs) is_transposed_ ? there(begin, rows) : back(begin, rows);
    kernels::convolution_backward_weights<T>(shape_, rows, a(a_, begin), z(begin),
                                             d_W_.as<T>() + begin / slice_rows_ * shape_.weights(), nullptr,
                                             workspace(begin));
  }

 private:
  void there(std::int64_t begin, std::int64_t rows) {
    kernels::convolution_forward<T>(shape_, rows, a(a_, begin), packed_.as<T>(), nullptr, z(begin), workspace(begin));
  }
  void back(std::int64_t begin, std::int64_t rows) {
    kernels::convolution_backward_inputs<T>(shape_, rows, z(begin), packed_.as<T>(), a(d_a_, begin), workspace(begin));
  }
  T* a(Buffer& buffer, std::int64_t n) const { return buffer.as<T>() + n * shape_.input_pixels() * shape_.inputs; }
  T* z(std::int64_t n) { return z_.as<T>() + n * shape_.output_pixels() * shape_.outputs; }
  void* workspace(std::int64_t begin) {
    return workspace_.as<char>() + static_cast<std::size_t>(begin / slice_rows_) * workspace_bytes_;
  }

  kernels::Convolution shape_;
  bool is_transposed_;
  std::int64_t slice_rows_, slices_;
  std::size_t workspace_bytes_;
  Buffer a_, d_a_, z_, W_, packed_, d_W_, workspace_;
};

/// The geometry of a convolution from what its plan shows: for how long it takes, only the whole padding matters.
kernels::Convolution shape_of(const LayerNode& node, const config::Node& settings, bool is_transposed) {
  const Shape& W = node.parameters[0].shape;
  const Shape& in = is_transposed ? node.plan.output : node.input_shapes[0];
  const Shape& out = is_transposed ? node.input_shapes[0] : node.plan.output;
  const std::size_t axes = W.size() - 2;
  const auto item = [&](const char* name, std::size_t axis) {
    const config::Node& value = settings.at(name);  // a number of conv1d; one or two of conv2d
    return value.is_scalar() ? value.as_integer() : value.list[std::min(axis, value.list.size() - 1)].as_integer();
  };
  const auto axis = [&](std::size_t i) {
    kernels::Axis made{
        .in = in[i], .out = out[i], .kernel = W[2 + i], .stride = item("stride", i), .dilation = item("dilation", i)};
    const std::int64_t padding = std::max<std::int64_t>(0, (made.out - 1) * made.stride + made.extent() - made.in);
    made.before = padding / 2, made.after = padding - padding / 2;
    return made;
  };
  kernels::Convolution shape{.inputs = in.back(), .outputs = out.back(), .groups = settings.at("groups").as_integer()};
  if (axes == 2) shape.height = axis(0);
  shape.width = axis(axes - 1);
  return shape;
}

/// The kernels of a layer: one, two of a bidirectional layer, or none.
template <class T>
void add_kernels(const LayerNode& node, const config::Node& settings, std::int64_t batch, std::int64_t slice_rows,
                 std::vector<std::unique_ptr<BareStep::Kernels>>& to) {
  const std::string type = node.layer.type().name;
  const bool is_transposed = type == "conv_transpose2d";
  if (type == "dense") to.push_back(std::make_unique<Dense<T>>(node, batch));
  if (type == "attention") to.push_back(std::make_unique<Attention<T>>(node, settings.at("heads").as_integer(), batch));
  if (type == "conv1d" || type == "conv2d" || is_transposed)
    to.push_back(
        std::make_unique<Convolution<T>>(shape_of(node, settings, is_transposed), is_transposed, batch, slice_rows));
  if (type == "rnn" || type == "lstm" || type == "gru")
    for (std::size_t p = 0; p < node.parameters.size(); ++p)
      if (node.parameters[p].name.starts_with("W_ih")) to.push_back(std::make_unique<Recurrence<T>>(node, p, batch));
}

/// How many units the weights are cut along; 0: gradients belong to the slices.
std::int64_t units_of(const LayerNode& node) {
  const std::string type = node.layer.type().name;
  return type == "attention" ? node.output_size / node.input_shapes[0][0] : node.plan.gradient_units;
}

}  // namespace

BareStep::BareStep(const NetworkSpec& spec, const Network& network, Arena& arena, std::int64_t batch,
                   std::int64_t slice_rows)
    : arena_(arena), batch_(batch), slice_rows_(slice_rows) {
  for (std::size_t i = 0; i < network.nodes().size(); ++i) {
    const LayerNode& node = network.nodes()[i];
    const std::size_t first = kernels_.size();
    dispatch(network.dtype(),
             [&]<class T>(T) { add_kernels<T>(node, spec.layers[i].settings, batch, slice_rows, kernels_); });
    for (std::size_t k = first; k < kernels_.size(); ++k)
      for_each_part(units_of(node), kTilesPerLayer, least_units_per_tile(network),
                    [&](std::int64_t begin, std::int64_t end) {
                      tiles_.push_back({k, begin, end});
                    });
  }
}

void BareStep::run() {
  arena_.for_each((batch_ + slice_rows_ - 1) / slice_rows_, [&](std::int64_t slice) {
    const std::int64_t begin = slice * slice_rows_, rows = std::min(slice_rows_, batch_ - begin);
    for (const auto& kernels : kernels_) kernels->forward(begin, rows);
    for (std::size_t k = kernels_.size(); k-- > 0;) kernels_[k]->backward(begin, rows, k > 0);
  });
  arena_.for_each(std::ssize(tiles_), [&](std::int64_t i) {
    const Range& tile = tiles_[static_cast<std::size_t>(i)];
    kernels_[tile.kernels]->weights(tile.begin, tile.end);
  });
}

}  // namespace backplane
