#include "activation/activation.h"

namespace activation {

namespace {

/// An element-wise activation; the numbers are computed in kernels.cpp. `Self` may have a member that `parameter`
/// hands on (slope, alpha).
template <class Self, Function kFunction>
struct Elementwise {
  double parameter() const { return 0.0; }

  template <class T>
  void forward(const T* z, T* a, std::int64_t rows, std::int64_t features) const {
    apply(kFunction, self().parameter(), z, a, rows * features);
  }
  template <class T>
  void backward(const T* z, const T* a, const T* d_activation, T* delta, std::int64_t rows,
                std::int64_t features) const {
    // What the derivative does not need is not there; the kernel loads both, and one stands in for the other.
    const T* there = z != nullptr ? z : a != nullptr ? a : d_activation;
    apply_backward(kFunction, self().parameter(), z != nullptr ? z : there, a != nullptr ? a : there, d_activation,
                   delta, rows * features);
  }

 private:
  const Self& self() const { return static_cast<const Self&>(*this); }
};

struct Identity : Elementwise<Identity, Function::identity> {
  static void describe(bp::About<Identity>& about) { about.name("identity").summary("z").needs(0); }
};

struct Sigmoid : Elementwise<Sigmoid, Function::sigmoid> {
  static void describe(bp::About<Sigmoid>& about) {
    about.name("sigmoid").summary("1 / (1 + exp(-z))").needs(BP_NEEDS_Z);
  }
};

struct Tanh : Elementwise<Tanh, Function::tanh> {
  static void describe(bp::About<Tanh>& about) { about.name("tanh").summary("tanh(z)").needs(BP_NEEDS_Z); }
};

struct Relu : Elementwise<Relu, Function::relu> {
  static void describe(bp::About<Relu>& about) { about.name("relu").summary("max(0, z)").needs(BP_NEEDS_A); }
};

struct LeakyRelu : Elementwise<LeakyRelu, Function::leaky_relu> {
  double slope = 0.01;

  static void describe(bp::About<LeakyRelu>& about) {
    about.name("leaky_relu").summary("z if z > 0, else slope·z").needs(BP_NEEDS_Z);
    about.attribute("slope", &LeakyRelu::slope, "factor of negative z").at_least(0).at_most(1);
  }
  double parameter() const { return slope; }
};

struct Elu : Elementwise<Elu, Function::elu> {
  double alpha = 1.0;

  static void describe(bp::About<Elu>& about) {
    about.name("elu").summary("z if z > 0, else alpha·(exp(z) - 1)").needs(BP_NEEDS_Z);
    about.attribute("alpha", &Elu::alpha, "minus the limit for very negative z").at_least(0);
  }
  double parameter() const { return alpha; }
};

struct Gelu : Elementwise<Gelu, Function::gelu> {
  static void describe(bp::About<Gelu>& about) {
    about.name("gelu").summary("z·Φ(z), Φ the normal distribution function").needs(BP_NEEDS_Z);
  }
};

struct Softplus : Elementwise<Softplus, Function::softplus> {
  static void describe(bp::About<Softplus>& about) {
    about.name("softplus").summary("ln(1 + exp(z))").needs(BP_NEEDS_Z);
  }
};

struct Swish : Elementwise<Swish, Function::swish> {
  static void describe(bp::About<Swish>& about) { about.name("swish").summary("z / (1 + exp(-z))").needs(BP_NEEDS_Z); }
};

struct Softmax {
  static void describe(bp::About<Softmax>& about) {
    about.name("softmax").summary("exp(z_i) / sum_j exp(z_j) over the last axis").needs(BP_NEEDS_A);
  }
  template <class T>
  void forward(const T* z, T* a, std::int64_t rows, std::int64_t features) const {
    softmax(z, a, rows, features);
  }
  template <class T>
  void backward(const T*, const T* a, const T* d_activation, T* delta, std::int64_t rows, std::int64_t features) const {
    softmax_backward(a, d_activation, delta, rows, features);
  }
};

}  // namespace

}  // namespace activation

using namespace activation;

BP_PLUGIN("org.backplane.activation", "0.1.0", "MIT", "activations", bp::layers<>,
          bp::activations<Identity, Sigmoid, Tanh, Relu, LeakyRelu, Elu, Gelu, Softplus, Swish, Softmax>)
