#pragma once

#include <backplane/plugin.hpp>

/// Element-wise activations  a = σ(z)  and their derivatives  δ = ∂C/∂a · σ'(z), and softmax over a row.
///
///   name        σ(z)                               σ'(z)                                   from
///   identity    z                                  1
///   sigmoid     1 / (1 + e⁻ᶻ)                      e⁻ᶻ / (1 + e⁻ᶻ)²                        z
///   tanh        tanh z                             4e⁻²ᶻ / (1 + e⁻²ᶻ)²                     z
///   relu        max(0, z)                          1 if z > 0, else 0 (0 at the kink)      a
///   leaky_relu  z if z > 0, else slope·z           1 if z > 0, else slope                  z
///   elu         z if z > 0, else alpha·(eᶻ − 1)    1 if z > 0, else alpha·eᶻ               z
///   gelu        z·Φ(z), Φ(z) = ½(1 + erf(z/√2))    Φ(z) + z·φ(z), φ = standard normal      z
///   softplus    ln(1 + eᶻ)                         1 / (1 + e⁻ᶻ)                           z
///   swish       z / (1 + e⁻ᶻ)                      s + z·s·(1 − s), s = 1 / (1 + e⁻ᶻ)      z
///   softmax     eᶻⁱ / Σⱼ eᶻʲ over the last axis    δᵢ = aᵢ·(gᵢ − Σⱼ aⱼ gⱼ), g = ∂C/∂a      a
///
///   sources  Clevert 2016 (elu), Hendrycks, Gimpel 2016 (gelu), Ramachandran 2017 (swish)
namespace activation {

/// The functions of the table above, in the order of the list; `parameter` is slope or alpha.
enum class Function { identity, sigmoid, tanh, relu, leaky_relu, elu, gelu, softplus, swish };

/// a[i] = σ(z[i]) for i in [0, count); one thread, the widest vectors of the CPU at hand.
template <class T>
void apply(Function function, double parameter, const T* z, T* a, std::int64_t count);

/// delta[i] = d_activation[i]·σ'(z[i]); delta may be d_activation.
template <class T>
void apply_backward(Function function, double parameter, const T* z, const T* a, const T* d_activation, T* delta,
                    std::int64_t count);

/// Softmax over each row of `features` elements, shifted by the row's maximum so that no exponential overflows.
template <class T>
void softmax(const T* z, T* a, std::int64_t rows, std::int64_t features);
template <class T>
void softmax_backward(const T* a, const T* d_activation, T* delta, std::int64_t rows, std::int64_t features);

}  // namespace activation
