#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "data/findings.h"
#include "data/origin.h"
#include "tensor/shape.h"

namespace backplane {

/// Samples of one split, kept in the type they were stored in. Immutable once loaded; read by all workers.
struct Samples {
  /// Input elements, sample after sample; bytes stay bytes until a slice gathers them.
  std::variant<std::vector<std::uint8_t>, std::vector<float>, std::vector<double>> inputs;
  /// What is to be learned: class indices (DataSet::steps a sample) or target vectors (target_size a sample).
  std::variant<std::vector<std::int64_t>, std::vector<double>> targets;
  std::int64_t count = 0;
  /// Where sequences differ in length: how many steps of each sample are valid, in [1, input_shape[0]]; what follows
  /// them is padding. Empty: all are.
  std::vector<std::int64_t> lengths{};
  Origin inputs_origin{}, targets_origin{};
  /// What number each sample has there; empty: they are those of the source, in its order.
  std::vector<std::int64_t> source_indices{};

  bool has_labels() const { return targets.index() == 0; }
  /// DataSet::steps; 0 where targets are vectors.
  std::int64_t labels_per_sample() const;
  /// What number a sample has where it was read.
  std::int64_t source_index(std::int64_t sample) const {
    return source_indices.empty() ? sample : source_indices[static_cast<std::size_t>(sample)];
  }

  /// Copies the samples named by `indices` (each in [0, count)) into a new set, in that order. `target_size` is of
  /// no account where there are labels.
  Samples subset(const std::vector<std::int64_t>& indices, std::int64_t input_size, std::int64_t target_size) const;
};

/// Random changes to training images [H, W, C], one draw of each a sample and epoch.
struct Augmentation {
  bool flip = false;  ///< left and right are swapped with probability 1/2
  /// Images move by dy rows and dx columns, each drawn from [-shift, shift] and below the extent. What comes in is 0
  /// as stored, before scaling: the padding of PyTorch's RandomCrop.
  std::int64_t shift = 0;
  std::uint64_t seed = 0;
};

/// A data set: up to three splits of samples of one shape. Every value is finite, but target vectors of steps beyond a
/// sample's length may be any; every label is in [0, classes).
struct DataSet {
  Shape input_shape;                     ///< of one sample, without the batch axis; never empty
  std::int64_t classes = 0;              ///< number of classes; 0 where targets are vectors
  std::int64_t target_size = 0;          ///< numbers per target vector; 0 where there are labels
  std::int64_t steps = 1;                ///< labels a sample: 1, or one for each step or place of it
  Shape target_shape;                    ///< of a sample's labels, [] where it has one; of its target vector
  std::vector<std::string> class_names;  ///< one a class where the data has names; empty where classes are numbers
  /// Text: what class, and input value, k stands for, in UTF-8, one symbol each. Empty where inputs are no symbols.
  std::vector<std::string> vocabulary;
  Samples train;
  std::optional<Samples> validation;
  std::optional<Samples> test;
  std::vector<std::string> input_names;  ///< of the input_size() columns of a table; empty where they have none
  std::vector<Finding> findings;         ///< what the source concluded
  std::vector<std::string> warnings;     ///< likewise, where it may be wrong: said by the commands that compute
  std::vector<std::string> files;        ///< every file that was read, for the record of the run

  /// Inputs are used as (stored − shift) · scale, element j of a sample with shift[j % shift.size()].
  /// Both have one number (all elements) or one per last-axis element.
  std::vector<double> shift{0.0};
  std::vector<double> scale{1.0};

  std::optional<Augmentation> augmentation;  ///< of the training split; input_shape is then [H, W, C]

  std::int64_t input_size() const { return element_count(input_shape); }

  /// Writes sample `index` of `samples`, shifted and scaled, as T (float or double) into out[0, input_size()).
  /// [any thread]
  template <class T>
  void gather_input(const Samples& samples, std::int64_t index, T* out) const;

  /// Likewise, changed as `augmentation` says: a function of its seed, `epoch` (below 2^32) and `index`. The same as
  /// gather_input where there is none. Takes no memory. [any thread]
  template <class T>
  void gather_augmented(const Samples& samples, std::int64_t index, std::uint64_t epoch, T* out) const;
};

/// Writes what sample `index` should give, as T (float or double), into out[0, outputs): the target vector
/// (`outputs` long), or the sample's labels one after another, each one-hot, or, where only one number is left for a
/// label, the label itself. `outputs` is a multiple of the labels of a sample. [any thread]
template <class T>
void gather_target(const Samples& samples, std::int64_t index, std::int64_t outputs, T* out);

}  // namespace backplane
