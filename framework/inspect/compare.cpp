#include "inspect/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "base/counted.h"
#include "base/printable.h"
#include "inspect/overview.h"
#include "inspect/text_table.h"
#include "tensor/tensor_kinds.h"
#include "tensor/half.h"

namespace backplane {

namespace {

/// A tensor that both files have, in the same shape and type.
struct Pair {
  std::string layer;
  std::pair<TensorPhase, std::ptrdiff_t> order;  ///< what comes back passes the last layer first
  const FileTensor* a;
  const FileTensor* b;
  TensorDifference difference{};
  std::optional<std::int64_t> first_step{};
};

std::string shape_and_type(const FileTensor& tensor) {
  return fmt::format("{} {}", labelled_shape(tensor), tensor.stored);
}

ElementRules rules_of(const FileTensor& tensor) {
  return {.is_half = tensor.stored == "float16",
          .is_whole = tensor.stored == "int64",
          .may_lack = tensor.place.starts_with("/statistics/") && tensor.name.ends_with("/cosine")};
}

class Comparison {
 public:
  Comparison(const TensorFile& a, const TensorFile& b, const std::optional<std::uint64_t>& tolerance,
             const Print& print)
      : a_(a), b_(b), tolerance_(tolerance), print_(print) {}

  bool run() {
    if (a_.kind() != b_.kind())
      throw UserError(ExitCode::bad_data, fmt::format("{} is a {}, {} a {}", a_.path(), noun(a_), b_.path(), noun(b_)),
                      "compare two checkpoints, two traces or two runs");
    if (a_.config() != b_.config()) print_("the configurations differ; what they led to is compared\n");
    pair_layers();
    pair_records();
    for (const auto& [record_a, record_b] : records_) compare_record(record_a, record_b);
    compare_state();
    summarise();
    return is_equal_;
  }

 private:
  static const char* noun(const TensorFile& file) { return file.is_trace() ? "trace" : "checkpoint"; }

  void differ(const std::string& what) {
    is_equal_ = false;
    print_(printable(what) + "\n");
  }

  void pair_layers() {
    std::vector<std::string> names_a, names_b;
    for (const FileLayer& layer : a_.layers()) names_a.push_back(layer.name);
    for (const FileLayer& layer : b_.layers()) names_b.push_back(layer.name);
    if (!a_.is_trace()) pair_tensors(a_.probe(), b_.probe(), -1);
    std::vector<std::string> both;
    for (std::size_t i = 0; i < names_a.size(); ++i) {
      const FileLayer& layer = a_.layers()[i];
      const auto other = std::ranges::find(names_b, layer.name);
      if (other == names_b.end()) {
        differ(fmt::format("layer {} is in {} alone", layer.name, a_.path()));
        continue;
      }
      both.push_back(layer.name);
      pair_tensors(layer, b_.layers()[static_cast<std::size_t>(other - names_b.begin())],
                   static_cast<std::ptrdiff_t>(i));
    }
    for (const std::string& name : names_b)
      if (std::ranges::find(names_a, name) == names_a.end())
        differ(fmt::format("layer {} is in {} alone", name, b_.path()));
    std::erase_if(names_b, [&](const std::string& name) { return std::ranges::find(both, name) == both.end(); });
    if (names_b != both) differ("the layers are in another order");
    std::ranges::stable_sort(pairs_, {}, &Pair::order);
  }

  /// `index` of the layer; −1 for the samples, whose loss comes behind all layers.
  void pair_tensors(const FileLayer& a, const FileLayer& b, std::ptrdiff_t index) {
    for (const FileTensor& tensor : a.tensors) {
      const auto other = std::ranges::find(b.tensors, tensor.name, &FileTensor::name);
      const std::string name = a.name + "/" + tensor.name;
      if (other == b.tensors.end())
        differ(fmt::format("{} is in {} alone", name, a_.path()));
      else if (other->shape != tensor.shape || other->stored != tensor.stored)
        differ(fmt::format("{} is {} in {}, {} in {}", name, shape_and_type(tensor), a_.path(), shape_and_type(*other),
                           b_.path()));
      else
        pairs_.push_back({a.name, order_of(tensor.name, index), &tensor, &*other});
    }
    for (const FileTensor& tensor : b.tensors)
      if (std::ranges::find(a.tensors, tensor.name, &FileTensor::name) == a.tensors.end())
        differ(fmt::format("{}/{} is in {} alone", b.name, tensor.name, b_.path()));
  }

  std::pair<TensorPhase, std::ptrdiff_t> order_of(const std::string& tensor, std::ptrdiff_t layer) const {
    const TensorPhase phase = kind_of(tensor).phase;
    if (layer < 0 && tensor == "loss") return {phase, std::ssize(a_.layers())};
    return {phase, phase == TensorPhase::backward ? -layer : layer};
  }

  /// Records of the same step, in the order of a's.
  void pair_records() {
    if (!a_.is_trace()) {
      if (a_.steps() != b_.steps())
        differ(fmt::format("{} is of step {}, {} of step {}", a_.path(), a_.steps()[0], b_.path(), b_.steps()[0]));
      records_ = {{0, 0}};
    } else {
      for (std::size_t i = 0; i < a_.steps().size(); ++i) {
        const auto other = std::ranges::find(b_.steps(), a_.steps()[i]);
        if (other != b_.steps().end()) records_.emplace_back(i, static_cast<std::size_t>(other - b_.steps().begin()));
      }
      say_unpaired(a_, b_);
      say_unpaired(b_, a_);
    }
    for (const auto& [record_a, record_b] : records_)
      if (a_.samples()[record_a] != b_.samples()[record_b]) {
        differ(fmt::format("the two runs used different samples at step {}", a_.steps()[record_a]));
        break;
      }
  }

  void say_unpaired(const TensorFile& file, const TensorFile& other) {
    std::vector<std::int64_t> alone;
    for (const std::int64_t step : file.steps())
      if (std::ranges::find(other.steps(), step) == other.steps().end()) alone.push_back(step);
    if (!alone.empty())
      differ(fmt::format("in {} alone: {}, steps {} to {}", file.path(), counted(alone.size(), "record"), alone.front(),
                         alone.back()));
  }

  void compare_record(std::size_t record_a, std::size_t record_b) {
    for (Pair& pair : pairs_) {
      TensorDifference here;
      TensorFile::for_each_piece(*pair.a, [&](const TensorFile::Piece& piece) {
        here.add(compare(a_.read(*pair.a, record_a, piece), b_.read(*pair.b, record_b, piece), pair.a->dtype,
                         piece.first, piece.count, tolerance_, rules_of(*pair.a)));
      });
      if (here.differing > 0) {
        is_equal_ = false;
        const std::int64_t step = a_.steps()[record_a];
        if (!std::exchange(has_said_first_, true)) say_first(pair, here, record_a);
        if (!pair.first_step) pair.first_step = step;
      }
      pair.difference.add(here);
    }
  }

  void say_first(const Pair& pair, const TensorDifference& difference, std::size_t record) {
    const ElementPair& first = *difference.first;
    Shape index;
    std::int64_t rest = first.index;
    for (std::size_t axis = pair.a->shape.size(); axis-- > 0; rest /= pair.a->shape[axis])
      index.insert(index.begin(), rest % pair.a->shape[axis]);
    std::string place;
    for (std::size_t axis = 0; axis < index.size(); ++axis)
      place += fmt::format("{}{} {}", axis == 0 ? "" : ", ",
                           pair.a->axes[axis].empty() ? fmt::format("axis {}", axis) : pair.a->axes[axis], index[axis]);
    const bool is_of_batch = pair.a->place.starts_with("/probe/");
    std::string text =
        printable(fmt::format("first difference: step {}, {}, {} [{}]", a_.steps()[record],
                              is_of_batch ? "in the input batch" : "layer " + pair.layer, pair.a->name, place)) +
        "\n";
    const bool is_half = rules_of(*pair.a).is_half, is_float32 = pair.a->dtype == DType::float32;
    const int hex = is_half ? 4 : is_float32 ? 8 : 16;
    const int digits = is_half ? 5 : is_float32 ? 9 : 17;  // enough to tell any two numbers apart
    TextTable table(1);
    table.add({"A", fmt::format("{:.{}g}", first.a, digits), fmt::format("0x{:0{}x}", first.bits_a, hex)});
    table.add({"B", fmt::format("{:.{}g}", first.b, digits), fmt::format("0x{:0{}x}", first.bits_b, hex)});
    text += table.text();
    if (rules_of(*pair.a).is_whole)
      text += fmt::format("  {:.0f} apart\n", std::abs(first.a - first.b));
    else
      text += first.ulps == kNoUlps ? std::string("  no distance: not a number\n")
                                    : fmt::format("  {} ULP{} apart{}\n", first.ulps, first.ulps == 1 ? "" : "s",
                                                  first.ulps == 0 ? ": zeros of other signs" : "");
    if (!index.empty() && pair.a->axes[0] == "sample")
      text += fmt::format("  sample {}: index {} of the training split\n", index[0],
                          a_.samples()[record][static_cast<std::size_t>(index[0])]);
    print_(text);
  }

  void compare_state() {
    const auto compare_maps = [&](const auto& a, const auto& b) {
      for (const auto& [name, value] : a) {
        const auto other = b.find(name);
        if (other == b.end())
          differ(fmt::format("/state/{} is in {} alone", name, a_.path()));
        else if (!has_same_bits(value, other->second))
          differ(fmt::format("/state/{} is {} in {}, {} in {}", name, value, a_.path(), other->second, b_.path()));
      }
      for (const auto& [name, value] : b)
        if (!a.contains(name)) differ(fmt::format("/state/{} is in {} alone", name, b_.path()));
    };
    compare_maps(a_.integers(), b_.integers());
    compare_maps(a_.numbers(), b_.numbers());
  }

  void summarise() {
    const auto differing =
        std::ranges::count_if(pairs_, [](const Pair& pair) { return pair.difference.differing > 0; });
    std::int64_t elements = 0;
    for (const Pair& pair : pairs_) elements += pair.difference.elements;
    if (differing > 0) {
      TextTable table(1);
      table.add({"tensor", "first step", "differ", "of", "max |a - b|", "relative", "max ULPs", "NaN"});
      for (const Pair& pair : pairs_)
        if (const TensorDifference& d = pair.difference; d.differing > 0)
          table.add({printable(pair.layer + "/" + pair.a->name), fmt::format("{}", *pair.first_step),
                     fmt::format("{}", d.differing), fmt::format("{}", d.elements),
                     fmt::format("{:.4g}", d.most_absolute), fmt::format("{:.4g}", d.most_relative),
                     rules_of(*pair.a).is_whole ? "-" : fmt::format("{}", d.most_ulps),
                     fmt::format("{}", d.without_distance)});
      print_(table.text());
    }
    const std::string how = tolerance_ ? fmt::format("within {} ULPs", *tolerance_) : "bit for bit";
    std::string text = fmt::format("{} of {} tensors are equal {}", std::ssize(pairs_) - differing, pairs_.size(), how);
    if (a_.is_trace()) text += fmt::format(", in {}", counted(records_.size(), "record"));
    print_(fmt::format("{}; {} elements were compared\n", text, elements));
  }

  const TensorFile& a_;
  const TensorFile& b_;
  const std::optional<std::uint64_t>& tolerance_;
  const Print& print_;
  std::vector<Pair> pairs_;
  std::vector<std::pair<std::size_t, std::size_t>> records_;
  bool is_equal_ = true;
  bool has_said_first_ = false;
};

/// In the format in which the numbers are stored, as what follows: float32 holds each float16 exactly. The bits of a
/// whole number are those of the float64 that it is read as.
template <class T>
std::uint64_t stored_bits(T value, const ElementRules& rules) {
  if (rules.is_half) return std::bit_cast<std::uint16_t>(static_cast<Half>(value));
  return std::bit_cast<BitsOf<T>>(value);
}

template <class T>
std::uint64_t stored_ulps_between(T a, T b, const ElementRules& rules) {
  if (rules.is_whole) return 0;
  if (rules.is_half) return ulps_between(static_cast<Half>(a), static_cast<Half>(b));
  return ulps_between(a, b);
}

template <class T>
TensorDifference compare_as(const T* a, const T* b, std::int64_t first, std::int64_t count,
                            const std::optional<std::uint64_t>& tolerance, const ElementRules& rules) {
  TensorDifference found{.elements = count};
  for (std::int64_t i = 0; i < count; ++i) {
    if (has_same_bits(a[i], b[i])) continue;
    if (rules.may_lack && std::isnan(a[i]) != std::isnan(b[i])) continue;
    const std::uint64_t ulps = stored_ulps_between(a[i], b[i], rules);
    if (tolerance && !rules.is_whole && ulps != kNoUlps && ulps <= *tolerance) continue;
    ++found.differing;
    const auto value_a = static_cast<double>(a[i]), value_b = static_cast<double>(b[i]);
    if (!found.first)
      found.first = {first + i, value_a, value_b, stored_bits(a[i], rules), stored_bits(b[i], rules), ulps};
    if (ulps == kNoUlps) {
      ++found.without_distance;
      continue;
    }
    const double apart = std::abs(value_a - value_b);
    const double larger = std::max(std::abs(value_a), std::abs(value_b));
    found.most_absolute = std::max(found.most_absolute, apart);
    if (larger > 0.0 && std::isfinite(larger)) found.most_relative = std::max(found.most_relative, apart / larger);
    found.most_ulps = std::max(found.most_ulps, ulps);
  }
  return found;
}

}  // namespace

void TensorDifference::add(const TensorDifference& other) {
  elements += other.elements;
  differing += other.differing;
  without_distance += other.without_distance;
  most_absolute = std::max(most_absolute, other.most_absolute);
  most_relative = std::max(most_relative, other.most_relative);
  most_ulps = std::max(most_ulps, other.most_ulps);
  if (!first) first = other.first;
}

TensorDifference compare(const Buffer& a, const Buffer& b, DType dtype, std::int64_t first, std::int64_t count,
                         const std::optional<std::uint64_t>& tolerance, const ElementRules& rules) {
  return dispatch(dtype, [&]<class T>(T) { return compare_as(a.as<T>(), b.as<T>(), first, count, tolerance, rules); });
}

bool compare_files(const TensorFile& a, const TensorFile& b, const std::optional<std::uint64_t>& tolerance,
                   const Print& print) {
  return Comparison(a, b, tolerance, print).run();
}

}  // namespace backplane
