#include "recurrent/recurrent.h"

#include <algorithm>
#include <array>
#include <initializer_list>

#include "kernels/matmul.h"
#include "base/multiversion.h"
#include "kernels/transpose.h"
#include "recurrent/gates.h"

using backplane::kernels::matmul;
using backplane::kernels::outer_products;
using backplane::kernels::padded_leading;
using backplane::kernels::Transpose;

namespace recurrent {

namespace {

/// Of one direction; those of the reverse one follow.
enum Parameter : std::uint32_t { kW_ih, kW_hh, kb_ih, kb_hh, kParameters };
constexpr std::array<const char*, 2 * kParameters> kNames{
    "W_ih", "W_hh", "b_ih", "b_hh", "W_ih_reverse", "W_hh_reverse", "b_ih_reverse", "b_hh_reverse"};

enum Saved : std::size_t { kGates, kHiddenBefore, kDeltaGates, kDeltaHidden, kCell, kGated = kCell, kDeltaGated };
enum State : std::size_t { kStateHidden, kStateCell };

constexpr std::int64_t gates_of(Kind kind) {
  return kind == Kind::rnn ? 1 : kind == Kind::lstm ? 4 : 3;
}

/// Index of the saved tensor `hidden`, which comes last.
constexpr std::size_t hidden_index(Kind kind) {
  return kind == Kind::gru ? kDeltaGated + 1 : kCell + 1;
}

/// Columns whose sums stand in registers while the rows go by.
constexpr std::int64_t kSums = 16;

/// sums[c] = Σ over rows of delta[row, c], for c in [0, kSums): four sums of every fourth row, then those.
template <class T>
BP_MULTIVERSION void sum_rows(std::int64_t rows, const T* delta, std::int64_t ld, T* __restrict sums) {
  T parts[4][kSums] = {};
  std::int64_t row = 0;
  for (; row + 4 <= rows; row += 4)
    for (std::int64_t part = 0; part < 4; ++part)
      for (std::int64_t c = 0; c < kSums; ++c) parts[part][c] += delta[(row + part) * ld + c];
  for (; row < rows; ++row)
    for (std::int64_t c = 0; c < kSums; ++c) parts[0][c] += delta[row * ld + c];
  for (std::int64_t c = 0; c < kSums; ++c) sums[c] = (parts[0][c] + parts[1][c]) + (parts[2][c] + parts[3][c]);
}

/// A matrix in the order that the products like.
template <class T>
struct Matrix {
  T* data;
  std::int64_t ld;
};

/// to (columns, rows) = transposed rows [begin, end) of from (rows, columns).
template <class T>
void transpose(const bp::Tensor<const T>& from, std::int64_t begin, std::int64_t end, const Matrix<T>& to) {
  const std::int64_t columns = from.columns();
  backplane::kernels::transpose<T>(end - begin, columns, from.data() + begin * columns, columns, to.data + begin,
                                   to.ld);
}

template <class T>
void copy_rows(const bp::Tensor<const T>& from, std::int64_t begin, std::int64_t end, const Matrix<T>& to) {
  const std::int64_t columns = from.columns();
  for (std::int64_t row = begin; row < end; ++row)
    std::copy_n(from.data() + row * columns, columns, to.data + row * to.ld);
}

/// The part of a tensor (N, T, D·width) that belongs to one direction.
template <class T>
struct Steps {
  T* data = nullptr;  ///< of sample 0, step 0
  std::int64_t steps = 0, stride = 0;

  T* at(std::int64_t n, std::int64_t t) const { return data + (n * steps + t) * stride; }
};

/// One direction of one call.
template <Kind kKind, class T>
class Pass {
 public:
  Pass(const Recurrent<kKind>& layer, const bp::Call<T>& call, std::int64_t direction)
      : layer_(layer),
        call_(call),
        direction_(direction),
        N_(call.samples()),
        T_(call.input(0).dim(1)),
        I_(call.input(0).dim(2)),
        is_sequence_(layer.output == "sequence") {
    T* next = call.packed() + direction * packed_elements(layer, I_);
    const auto take = [&](std::int64_t rows, std::int64_t columns) {
      const Matrix<T> matrix{.data = next, .ld = padded_leading(columns)};
      next += rows * matrix.ld;
      return matrix;
    };
    Wt_ih_ = take(I_, kG * H_), Wt_hh_ = take(H_, kG * H_);
    bias_ = take(1, kBiases * H_).data;
    if (is_padded(I_)) W_ih_ = take(kG * H_, I_);
    if (is_padded(H_)) W_hh_ = take(kG * H_, H_);
    cell_kind_ = kKind == Kind::lstm            ? Cell::lstm
                 : kKind == Kind::gru           ? Cell::gru
                 : layer.nonlinearity == "tanh" ? Cell::rnn_tanh
                                                : Cell::rnn_relu;
  }

  static std::int64_t packed_elements(const Recurrent<kKind>& layer, std::int64_t I) {
    const std::int64_t H = layer.units;
    return (I + H) * padded_leading(kG * H) + padded_leading(kBiases * H) +
           kG * H * ((is_padded(I) ? padded_leading(I) : 0) + (is_padded(H) ? padded_leading(H) : 0));
  }
  /// Elements: a row of zeros; h or ∂C/∂h, ∂C/∂c, and what is multiplied or was.
  static std::int64_t workspace_fixed(const Recurrent<kKind>& layer) { return layer.units; }
  static std::int64_t workspace_per_sample(const Recurrent<kKind>& layer) { return (kG + 2) * layer.units; }

  void pack() const {
    const std::int64_t begin = call_.unit_begin(), end = call_.unit_end();
    transpose(parameter(kW_ih), begin, end, Wt_ih_);
    transpose(parameter(kW_hh), begin, end, Wt_hh_);
    if (is_padded(I_)) copy_rows(parameter(kW_ih), begin, end, W_ih_);
    if (is_padded(H_)) copy_rows(parameter(kW_hh), begin, end, W_hh_);
    const auto b_ih = parameter(kb_ih), b_hh = parameter(kb_hh);
    for (std::int64_t u = begin; u < end; ++u) {
      const T from_input = b_ih ? b_ih[u] : T(0), from_state = b_hh ? b_hh[u] : T(0);
      if (kKind == Kind::gru && u >= 2 * H_) {
        bias_[u] = from_input;
        bias_[u + H_] = from_state;
      } else {
        bias_[u] = from_input + from_state;
      }
    }
  }

  void forward() const {
    const auto gates = saved(kGates, kG * H_), before = saved(kHiddenBefore, H_);
    const auto z = is_sequence_ ? steps(call_.output(), H_) : Steps<T>();
    const auto hidden = has_hidden(layer_) ? saved(hidden_index(kKind), H_) : Steps<T>();
    const auto cell = kKind == Kind::rnn ? Steps<T>() : saved(kCell, H_);  // or gated
    T* h = workspace();                                                    // (N, H)
    T* recurrent = h + N_ * H_;                                            // (N, G·H)
    // W_ih·x of all steps at once, where the gates will stand.
    matmul<T>(N_ * T_, kG * H_, I_, Transpose::no, call_.input(0).data(), I_, Transpose::no, Wt_ih_.data, Wt_ih_.ld,
              T(0), gates.data, gates.stride);
    if (layer_.stateful)
      std::copy_n(call_.state(kStateHidden).data(), N_ * H_, h);
    else
      std::fill_n(h, N_ * H_, T(0));
    const std::int64_t longest = longest_length();
    for (std::int64_t s = 0; s < T_; ++s) {
      const std::int64_t t = step(s);
      if (t < longest)
        matmul<T>(N_, kG * H_, H_, Transpose::no, h, H_, Transpose::no, Wt_hh_.data, Wt_hh_.ld, T(0), recurrent,
                  kG * H_);
      for (std::int64_t n = 0; n < N_; ++n) {
        T* h_n = h + n * H_;
        if (t >= length(n)) {
          clear(gates, kG * H_, n, t), clear(before, H_, n, t), clear(cell, H_, n, t);
          clear(z, H_, n, t), clear(hidden, H_, n, t);
          continue;
        }
        if (s + 1 < T_) {
          const std::int64_t next = step(s + 1);
          fetch(gates.at(n, next), kG * H_), fetch(before.at(n, next), H_);
          if (kKind != Kind::rnn) fetch(cell.at(n, next), H_);
          if (is_sequence_) fetch(z.at(n, next), H_);
        }
        std::copy_n(h_n, H_, before.at(n, t));
        step_forward<T>(cell_kind_, H_,
                        {.recurrent = recurrent + n * kG * H_,
                         .bias = bias_,
                         .gates = gates.at(n, t),
                         .hidden = h_n,
                         .cell_before = kKind == Kind::lstm ? cell_before(cell, n, t) : nullptr,
                         .cell = kKind == Kind::lstm ? cell.at(n, t) : nullptr,
                         .gated = kKind == Kind::gru ? cell.at(n, t) : nullptr});
        if (z.data != nullptr) std::copy_n(h_n, H_, z.at(n, t));
        if (hidden.data != nullptr) std::copy_n(h_n, H_, hidden.at(n, t));
      }
    }
    if (!is_sequence_)
      for (std::int64_t n = 0; n < N_; ++n) std::copy_n(h + n * H_, H_, call_.output().data() + last(n));
  }

  /// δ of every gate and step; nothing of the input or the parameters yet.
  void backward() const {
    const auto gates = saved(kGates, kG * H_), before = saved(kHiddenBefore, H_);
    const auto delta_gates = saved(kDeltaGates, kG * H_), delta_hidden = saved(kDeltaHidden, H_);
    const auto cell = kKind == Kind::rnn ? Steps<T>() : saved(kCell, H_);  // or gated
    const auto delta_gated = kKind == Kind::gru ? saved(kDeltaGated, H_) : Steps<T>();
    const auto delta = is_sequence_ ? steps(call_.delta(), H_) : Steps<const T>();
    T* carry = workspace();        // (N, H)  ∂C/∂h from the steps behind
    T* d_cell = carry + N_ * H_;   // (N, H)  ∂C/∂c likewise
    T* d_sums = d_cell + N_ * H_;  // (N, G·H)  ∂C/∂(W_hh·h₋) of this step
    std::fill_n(carry, 2 * N_ * H_, T(0));
    const std::int64_t longest = longest_length();
    for (std::int64_t s = T_ - 1; s >= 0; --s) {
      const std::int64_t t = step(s);
      for (std::int64_t n = 0; n < N_; ++n) {
        if (t >= length(n)) {
          clear(delta_gates, kG * H_, n, t), clear(delta_hidden, H_, n, t), clear(delta_gated, H_, n, t);
          std::fill_n(d_sums + n * kG * H_, kG * H_, T(0));
          continue;
        }
        if (s > 0) {
          const std::int64_t next = step(s - 1);
          fetch(gates.at(n, next), kG * H_), fetch(delta_gates.at(n, next), kG * H_);
          fetch(delta_hidden.at(n, next), H_);
          if (is_sequence_) fetch(delta.at(n, next), H_);
          if (kKind != Kind::rnn) fetch(cell.at(n, next), H_);
          if (kKind == Kind::gru) fetch(before.at(n, next), H_), fetch(delta_gated.at(n, next), H_);
        }
        const bool is_last = t == (direction_ == 0 ? length(n) - 1 : 0);
        step_backward<T>(cell_kind_, H_,
                         {.gates = gates.at(n, t),
                          .delta = is_sequence_ ? delta.at(n, t)
                                   : is_last    ? call_.delta().data() + last(n)
                                                : zeros(),
                          .carry = carry + n * H_,
                          .delta_hidden = delta_hidden.at(n, t),
                          .delta_gates = delta_gates.at(n, t),
                          .cell_before = kKind == Kind::lstm ? cell_before(cell, n, t) : nullptr,
                          .cell = kKind == Kind::lstm ? cell.at(n, t) : nullptr,
                          .d_cell = d_cell + n * H_,
                          .hidden_before = before.at(n, t),
                          .gated = kKind == Kind::gru ? cell.at(n, t) : nullptr,
                          .delta_gated = kKind == Kind::gru ? delta_gated.at(n, t) : nullptr});
        // Rows side by side, which the product reads faster than rows T steps apart.
        constexpr std::int64_t kPlain = kKind == Kind::gru ? 2 : kG;
        std::copy_n(delta_gates.at(n, t), kPlain * H_, d_sums + n * kG * H_);
        if constexpr (kKind == Kind::gru) std::copy_n(delta_gated.at(n, t), H_, d_sums + (n * kG + kPlain) * H_);
      }
      if (s == 0 || t >= longest) continue;
      if (is_cut(t)) {
        std::fill_n(carry, 2 * N_ * H_, T(0));
      } else {
        const auto W = weights(kW_hh);
        matmul<T>(N_, H_, kG * H_, Transpose::no, d_sums, kG * H_, Transpose::no, W.data, W.ld,
                  kKind == Kind::gru ? T(1) : T(0), carry, H_);
      }
    }
  }

  /// ∂C/∂x = δ_s·W_ih; the second direction adds.
  void d_input() const {
    const auto delta_gates = saved(kDeltaGates, kG * H_);
    const auto W = weights(kW_ih);
    matmul<T>(N_ * T_, I_, kG * H_, Transpose::no, delta_gates.data, delta_gates.stride, Transpose::no, W.data, W.ld,
              direction_ == 0 ? T(0) : T(1), call_.d_input(0).data(), I_);
  }

  /// ∂C/∂θ of the units asked for, from what backward() saved of the whole batch.
  void d_parameters() const {
    const auto delta_gates = saved(kDeltaGates, kG * H_), before = saved(kHiddenBefore, H_);
    const std::int64_t begin = call_.unit_begin(), end = call_.unit_end();
    const auto d_W_ih = d_parameter(kW_ih), d_W_hh = d_parameter(kW_hh);
    const auto d_b_ih = d_parameter(kb_ih), d_b_hh = d_parameter(kb_hh);
    if (d_W_ih) write_product(d_W_ih, begin, end, delta_gates, begin, call_.input(0).data(), I_);
    // What reaches W_hh·h₋ is δ_s, too, but for a GRU's candidate.
    const std::int64_t plain_end = kKind == Kind::gru ? std::clamp(2 * H_, begin, end) : end;
    if (d_W_hh) write_product(d_W_hh, begin, plain_end, delta_gates, begin, before.data, before.stride);
    write_sums({d_b_ih, d_b_hh}, begin, plain_end, delta_gates, begin);
    if (plain_end < end) {
      const auto delta_gated = saved(kDeltaGated, H_);
      const std::int64_t column = plain_end - 2 * H_;
      if (d_W_hh) write_product(d_W_hh, plain_end, end, delta_gated, column, before.data, before.stride);
      write_sums({d_b_ih}, plain_end, end, delta_gates, plain_end);
      write_sums({d_b_hh}, plain_end, end, delta_gated, column);
    }
  }

  void update_state() const {
    const auto h = is_sequence_ ? steps(call_.output(), H_) : Steps<T>();
    for (std::int64_t n = 0; n < N_; ++n) {
      const std::int64_t t = length(n) - 1;
      if (t < 0) continue;
      std::copy_n(is_sequence_ ? h.at(n, t) : call_.output().data() + last(n), H_,
                  call_.state(kStateHidden).data() + n * H_);
      if constexpr (kKind == Kind::lstm)
        std::copy_n(saved(kCell, H_).at(n, t), H_, call_.state(kStateCell).data() + n * H_);
    }
  }

  static bool has_hidden(const Recurrent<kKind>& layer) { return kKind != Kind::rnn && layer.output == "last"; }

 private:
  static constexpr std::int64_t kG = gates_of(kKind);
  static constexpr std::int64_t kBiases = kKind == Kind::gru ? kG + 1 : kG;

  std::int64_t directions() const { return layer_.bidirectional ? 2 : 1; }
  auto parameter(std::size_t i) const { return call_.parameter(index(i)); }
  auto d_parameter(std::size_t i) const { return call_.d_parameter(index(i)); }
  /// W_ih or W_hh as backward reads it.
  Matrix<const T> weights(Parameter i) const {
    const Matrix<T>& padded = i == kW_ih ? W_ih_ : W_hh_;
    if (padded.data != nullptr) return {.data = padded.data, .ld = padded.ld};
    return {.data = parameter(i).data(), .ld = parameter(i).columns()};
  }
  static bool is_padded(std::int64_t columns) { return padded_leading(columns) != columns; }
  std::size_t index(std::size_t i) const { return i + static_cast<std::size_t>(direction_) * kParameters; }

  template <class Element>
  Steps<Element> steps(const bp::Tensor<Element>& tensor, std::int64_t width) const {
    return {.data = tensor.data() + direction_ * width, .steps = T_, .stride = directions() * width};
  }
  Steps<T> saved(std::size_t i, std::int64_t width) const { return steps(call_.saved(i), width); }

  T* zeros() const { return static_cast<T*>(call_.workspace()); }
  T* workspace() const {
    std::fill_n(zeros(), H_, T(0));
    return zeros() + H_;
  }

  std::int64_t length(std::int64_t n) const { return call_.length(n, T_); }
  std::int64_t longest_length() const {
    std::int64_t longest = 0;
    for (std::int64_t n = 0; n < N_; ++n) longest = std::max(longest, length(n));
    return longest;
  }
  /// The step that is computed as number s.
  std::int64_t step(std::int64_t s) const { return direction_ == 0 ? s : T_ - 1 - s; }
  /// Whether bptt ends between step t and the one computed before it.
  bool is_cut(std::int64_t t) const { return layer_.bptt > 0 && (direction_ == 0 ? t : t + 1) % layer_.bptt == 0; }
  /// Where sample n begins in z and δ of (N, D·H).
  std::int64_t last(std::int64_t n) const { return (n * directions() + direction_) * H_; }
  /// Asks for a row that the next step needs: rows of a step lie T steps apart, too far for the processor to foresee.
  static void fetch(const T* row, std::int64_t width) {
    for (std::int64_t i = 0; i < width; i += static_cast<std::int64_t>(64 / sizeof(T)))
      __builtin_prefetch(row + i, 0, 2);
  }
  /// c₋ of step t.
  const T* cell_before(const Steps<T>& cell, std::int64_t n, std::int64_t t) const {
    if (t != (direction_ == 0 ? 0 : length(n) - 1)) return cell.at(n, direction_ == 0 ? t - 1 : t + 1);
    return layer_.stateful ? call_.state(kStateCell).data() + n * H_ : zeros();
  }
  void clear(const Steps<T>& tensor, std::int64_t width, std::int64_t n, std::int64_t t) const {
    if (tensor.data != nullptr) std::fill_n(tensor.at(n, t), width, T(0));
  }

  /// Of the units asked for, [begin, end) of d_W = deltaᵀ·a, a (N·T, d_W's columns); unit `begin` from column `column`
  /// of delta.
  void write_product(const bp::Tensor<T>& d_W, std::int64_t begin, std::int64_t end, const Steps<T>& delta,
                     std::int64_t column, const T* a, std::int64_t lda) const {
    outer_products<T>(N_ * T_, end - begin, d_W.columns(), delta.data + column, delta.stride, a, lda, T(0),
                      d_W.data() + (begin - call_.unit_begin()) * d_W.columns(), d_W.columns());
  }
  /// Likewise every d_b = Σ delta: rows lie far apart and are worth reading once.
  void write_sums(std::initializer_list<bp::Tensor<T>> biases, std::int64_t begin, std::int64_t end,
                  const Steps<T>& delta, std::int64_t column) const {
    if (std::none_of(biases.begin(), biases.end(), [](const auto& d_b) { return static_cast<bool>(d_b); })) return;
    for (std::int64_t u = begin; u < end; u += kSums) {
      T sums[kSums] = {};
      const T* from = delta.data + column + (u - begin);
      if (end - u >= kSums)
        sum_rows(N_ * T_, from, delta.stride, sums);
      else
        for (std::int64_t row = 0; row < N_ * T_; ++row)
          for (std::int64_t i = 0; i < end - u; ++i) sums[i] += from[row * delta.stride + i];
      for (const auto& d_b : biases)
        for (std::int64_t i = 0; d_b && i < std::min(kSums, end - u); ++i) d_b[u - call_.unit_begin() + i] = sums[i];
    }
  }

  const Recurrent<kKind>& layer_;
  const bp::Call<T>& call_;
  const std::int64_t direction_, N_, T_, I_;
  const std::int64_t H_ = layer_.units;
  const bool is_sequence_;
  Cell cell_kind_;
  Matrix<T> Wt_ih_{}, Wt_hh_{}, W_ih_{}, W_hh_{};  ///< packed; the last two where their rows need padding
  T* bias_ = nullptr;
};

const char* const kOutputs[] = {"sequence", "last", nullptr};
const char* const kNonlinearities[] = {"tanh", "relu", nullptr};

}  // namespace

template <Kind kKind>
void Recurrent<kKind>::describe(bp::About<Recurrent>& about) {
  switch (kKind) {
    case Kind::rnn: about.name("rnn").summary("recurrent: h = tanh(W_ih·x + W_hh·h₋ + b), or relu"); break;
    case Kind::lstm: about.name("lstm").summary("long short-term memory: c = f ⊙ c₋ + i ⊙ g, h = o ⊙ tanh(c)"); break;
    case Kind::gru: about.name("gru").summary("gated recurrent unit: h = (1 − z) ⊙ n + z ⊙ h₋"); break;
  }
  about.attribute("units", &Recurrent::units, "size H of the hidden state").required().at_least(1).at_most(1 << 16);
  about.attribute("bidirectional", &Recurrent::bidirectional, "whether a second one reads from the end, beside it");
  about.attribute("output", &Recurrent::output, "h of every step, or of the last one").one_of(kOutputs);
  about.attribute("stateful", &Recurrent::stateful, "whether a row begins where it ended in the batch before");
  about.attribute("bptt", &Recurrent::bptt, "steps after which the gradient through time is cut, 0: never").at_least(0);
  about.attribute("bias", &Recurrent::bias, "whether b_ih and b_hh are added");
  if constexpr (kKind == Kind::rnn)
    about.attribute("nonlinearity", &Recurrent::nonlinearity, "φ").one_of(kNonlinearities);
  for (std::size_t i = 0; i < kNames.size(); i += kParameters) {
    about.parameter(kNames[i + kW_ih], "weight", "weights of the input (G·H, I)", "glorot_uniform");
    about.parameter(kNames[i + kW_hh], "weight", "weights of the hidden state (G·H, H)", "orthogonal");
    about.parameter(kNames[i + kb_ih], "bias", "bias of the input (G·H)", "zeros");
    about.parameter(kNames[i + kb_hh], "bias", "bias of the hidden state (G·H)", "zeros");
  }
}

template <Kind kKind>
void Recurrent<kKind>::plan(bp::Plan& plan) const {
  const bp::Dims input = plan.input(0);
  if (input.size() != 2) throw bp::Error("wants a sequence [T, F], got " + bp::to_string(input));
  if (stateful && bidirectional)
    throw bp::Error(
        "stateful and bidirectional exclude each other: the reverse direction would have to begin where "
        "the next batch ends");
  const std::int64_t T = input[0], I = input[1], H = units, G = gates_of(kKind), D = bidirectional ? 2 : 1;
  plan.output(output == "sequence" ? bp::Dims{T, D * H} : bp::Dims{D * H});
  for (std::uint32_t first = 0; first < D * kParameters; first += kParameters) {
    plan.parameter(first + kW_ih, {G * H, I}, I, H);  // a gate is a dense layer of H units
    plan.parameter(first + kW_hh, {G * H, H}, H, H);
    if (!bias) continue;
    plan.parameter(first + kb_ih, {G * H}, I, H);
    plan.parameter(first + kb_hh, {G * H}, H, H);
  }
  plan.needs_inputs();
  plan.uses_lengths();
  plan.gradient_units(G * H);
  plan.writes_gradients();
  plan.full_speed_samples(16);
  // In the order of Saved.
  plan.saved("gates", {T, D * G * H}, BP_SAVED_BY_FORWARD);
  plan.saved("hidden_before", {T, D * H}, BP_SAVED_BY_FORWARD);
  plan.saved("delta_gates", {T, D * G * H}, BP_SAVED_BY_BACKWARD);
  plan.saved("delta_hidden", {T, D * H}, BP_SAVED_BY_BACKWARD);
  if constexpr (kKind == Kind::lstm) plan.saved("cell", {T, D * H}, BP_SAVED_BY_FORWARD);
  if constexpr (kKind == Kind::gru) {
    plan.saved("gated", {T, D * H}, BP_SAVED_BY_FORWARD);
    plan.saved("delta_gated", {T, D * H}, BP_SAVED_BY_BACKWARD);
  }
  using AnyPass = Pass<kKind, float>;
  if (AnyPass::has_hidden(*this)) plan.saved("hidden", {T, D * H}, BP_SAVED_BY_FORWARD);
  if (stateful) {
    plan.carried_state("hidden", {H});
    if constexpr (kKind == Kind::lstm) plan.carried_state("cell", {H});
  }
  plan.packed(D * AnyPass::packed_elements(*this, I));
  const std::uint64_t element = plan.dtype() == BP_F64 ? sizeof(double) : sizeof(float);
  plan.workspace(element * static_cast<std::uint64_t>(AnyPass::workspace_fixed(*this)),
                 element * static_cast<std::uint64_t>(AnyPass::workspace_per_sample(*this)));
}

template <Kind kKind>
template <class T>
void Recurrent<kKind>::pack(const bp::Call<T>& call) const {
  for (std::int64_t d = 0; d < (bidirectional ? 2 : 1); ++d) Pass<kKind, T>(*this, call, d).pack();
}

template <Kind kKind>
template <class T>
void Recurrent<kKind>::forward(const bp::Call<T>& call) const {
  for (std::int64_t d = 0; d < (bidirectional ? 2 : 1); ++d) Pass<kKind, T>(*this, call, d).forward();
}

template <Kind kKind>
template <class T>
void Recurrent<kKind>::backward(const bp::Call<T>& call) const {
  bool wants_parameters = false;
  for (std::size_t i = 0; i < kNames.size(); ++i) wants_parameters |= static_cast<bool>(call.d_parameter(i));
  const bool wants_input = static_cast<bool>(call.d_input(0));
  for (std::int64_t d = 0; d < (bidirectional ? 2 : 1); ++d) {
    const Pass<kKind, T> pass(*this, call, d);
    // The call for parameters finds what the slices' calls have saved.
    if (wants_input || !wants_parameters) pass.backward();
    if (wants_input) pass.d_input();
    if (wants_parameters) pass.d_parameters();
  }
}

template <Kind kKind>
template <class T>
void Recurrent<kKind>::update_state(const bp::Call<T>& call) const {
  if (stateful) Pass<kKind, T>(*this, call, 0).update_state();
}

}  // namespace recurrent

BP_PLUGIN("org.backplane.recurrent", "0.1.0", "MIT", "recurrent layers",
          bp::layers<recurrent::Rnn, recurrent::Lstm, recurrent::Gru>, bp::activations<>)
