#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "losses/loss_function.h"
#include "network/network.h"

namespace backplane {

/// The experiment's loss (losses/table.h) on the outputs of its network and the targets of its data; C is its mean over
/// the batch. Labels become one-hot targets, or, where there is one output, the number itself.
///
/// Where every step of a sequence has a label or a target of its own (outputs [T, F]), the loss of a sample is the mean
/// of the above over its valid steps; steps beyond its length count nothing. What is said of steps holds for every
/// place before the last axis: of outputs [H, W, F], the pixels. A loss that says so (adds_steps) is a sum over them
/// instead, of target vectors. Where the outputs are not over time, lengths say nothing of them: every number of a
/// target counts.
///
/// Const and thread-safe.
class Loss {
 public:
  /// Throws UserError: bad_config where loss, last layer and data do not go together; by the origin of the targets
  /// where one of any split is nothing that the loss can take.
  Loss(const NetworkSpec& spec, const Network& network, const DataSet& data);

  const std::string& name() const { return name_; }
  /// Whether `gradient` gives δ = ∂C/∂z, else ∂C/∂a.
  bool gives_delta() const { return function_->gives_delta(); }
  /// Whether targets are labels, one-hot or, of one output, the number itself.
  bool has_labels() const { return has_labels_; }
  /// Numbers per sample of z, a and target.
  std::int64_t outputs() const { return steps_ * features_; }
  /// Of them, those that one label or target goes with.
  std::int64_t features() const { return features_; }
  /// Whether a sample has several labels or targets, one for each step or place.
  bool is_per_step() const { return steps_ > 1; }
  /// How many steps of a sample count: those within its length. `length` is nullptr where there are no lengths.
  std::int64_t steps(const std::int64_t* length) const {
    return steps_within_length_ > 0 && length != nullptr ? *length * steps_within_length_ : steps_;
  }
  /// How many of a sample's outputs() numbers count; those of its other steps follow them.
  std::int64_t valid_outputs(const std::int64_t* length) const { return steps(length) * features_; }
  /// What a user should know of the targets, though it is no error: of probabilities of classes, that those of a sample
  /// do not sum to 1. One sentence a split, behind the place of the first that does not.
  std::vector<std::string> doubts(const DataSet& data) const;

  /// Samples of outputs() numbers each. `lengths`: how many of their steps count; nullptr: all.
  template <class T>
  struct Samples {
    const T *z, *a, *target;
    const std::int64_t* lengths;
    std::int64_t count;

    const std::int64_t* length(std::int64_t n) const { return lengths != nullptr ? lengths + n : nullptr; }
  };
  /// What is compared at step `t` of sample `n`. REQUIRES: t < steps(samples.length(n)).
  template <class T>
  Compared<T> step(const Samples<T>& samples, std::int64_t n, std::int64_t t) const {
    const std::int64_t at = (n * steps_ + t) * features_;
    return {samples.z + at, samples.a + at, samples.target + at, features_};
  }

  /// The loss of each sample. Where `gradient` is not nullptr, also scale · ∂(loss of each sample)/∂z or ∂a (see
  /// gives_delta); `scale` is 1/N for C. Sums and exponentials are of float64.
  template <class T>
  void evaluate(const Samples<T>& samples, double* losses, double scale = 1.0, T* gradient = nullptr) const;

 private:
  void require_fitting_labels(const LayerNode& last, bool is_over_time, const DataSet& data) const;
  void require_fitting_targets(const LayerNode& last, const DataSet& data) const;
  void require_domain(const DataSet& data, DType dtype) const;
  [[noreturn]] void fail(const LayerNode& last, const std::string& what, const std::string& hint) const;
  std::string name_;
  std::unique_ptr<const LossFunction> function_;
  std::int64_t steps_ = 1;                ///< labels or targets per sample
  std::int64_t features_;                 ///< outputs that one label or target goes with
  std::int64_t steps_within_length_ = 0;  ///< for each unit of a sample's length; 0: lengths are of no account
  bool adds_steps_ = false;               ///< instead of taking their mean
  bool has_labels_;
};

}  // namespace backplane
