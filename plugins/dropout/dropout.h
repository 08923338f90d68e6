#pragma once

#include <backplane/plugin.hpp>

/// Dropout:  z = m ⊙ a, where each m is 0 with probability `rate`, else 1 / (1 − rate)
///
///   a  (N, …)  input      m  (N, …)  `mask`, 1 in evaluation: there z is a
///   z  (N, …)  output
///
///   backward   ∂C/∂a = m ⊙ δ  (written)
///   saved      mask, which is faster to read than to draw again
///   random     m is a function of seed, step, layer, sample and element, whatever the threads and slices
///   source     Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov 2014
struct Dropout {
  double rate = 0.5;

  static void describe(bp::About<Dropout>& about);
  void plan(bp::Plan& plan) const;
  template <class T>
  void forward(const bp::Call<T>& call) const;
  template <class T>
  void backward(const bp::Call<T>& call) const;
};
